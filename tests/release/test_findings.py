"""What the licences say of a project, and which findings stop its release."""

import json

import pytest

from distill_dagster.config import DistillConfig
from distill_dagster.release.findings import findings, notice_file, release_problems, released_name, stays_under
from distill_dagster.release.licences import for_model
from distill_dagster.release.used_models import is_own

LLAMA_STUDENT = "meta-llama/Llama-3.2-1B"
APACHE_STUDENT = "Qwen/Qwen2.5-0.5B"
NEW_STUDENT = {"model": {"architecture": "llama"}}


def config(teacher, student=APACHE_STUDENT, task="qa", **release) -> DistillConfig:
    """`teacher`: a model's name, or the section."""
    settings = {
        "name": "intents",
        "task": task,
        "data": {"train": "t.jsonl", "test": "h.jsonl"},
        "teacher": {"model": {"name": teacher}} if isinstance(teacher, str) else teacher,
        "student": {"model": {"name": student}} if isinstance(student, str) else student,
    }
    return DistillConfig.model_validate(settings | ({"release": release} if release else {}))


def endpoint(model="gpt-4o", url="https://api.openai.com/v1") -> dict:
    return {"endpoint": {"url": url, "model": model}}


def states(project: DistillConfig) -> list[tuple[str, str]]:
    return [(finding.name, finding.state) for finding in findings(project)]


def test_open_models_under_apache_are_free():
    project = config("Qwen/Qwen2.5-7B-Instruct")
    assert release_problems(project) == []
    assert released_name(project) == "intents"
    assert notice_file(findings(project)) is None


def test_a_disallowed_teacher_stops_the_release_even_if_it_was_confirmed():
    for teacher in (endpoint(), endpoint("claude-sonnet-4-5", "https://api.anthropic.com/v1")):
        (problem,) = release_problems(config(teacher, i_have_checked_the_licence=True))
        model, family = teacher["endpoint"]["model"], for_model(teacher["endpoint"]["model"])
        assert problem.startswith(f"teacher {model}: this teacher's terms do not allow training on its outputs: ")
        assert family.clause in problem
        assert f"{family.url}, read 2026-11-27" in problem
        assert "take a teacher whose terms allow it" in problem


def test_a_classifier_by_the_openai_api_needs_a_confirmation():
    (problem,) = release_problems(config(endpoint(), task="classification"))
    assert "Permitted Exception" in problem
    assert "`release.i_have_checked_the_licence: true`" in problem
    assert release_problems(config(endpoint(), task="classification", i_have_checked_the_licence=True)) == []
    anthropic = endpoint("claude-sonnet-4-5", "https://api.anthropic.com/v1")
    assert states(config(anthropic, task="classification"))[0][1] == "disallowed", "its terms make no exception"


def test_an_unknown_licence_needs_a_confirmation():
    (problem,) = release_problems(config("someone/model"))
    assert problem == (
        "teacher someone/model: its licence is not listed: read the terms, and confirm with "
        "`release.i_have_checked_the_licence: true` that they allow this"
    )
    assert release_problems(config("someone/model", i_have_checked_the_licence=True)) == []


def test_research_only_needs_a_confirmation_for_teacher_and_base():
    project = config("mistralai/Mistral-Large-Instruct-2411", "Qwen/Qwen2.5-3B")
    assert {state for _, state in states(project)} == {"to check"}
    assert all("allows research only" in problem for problem in release_problems(project))


def test_what_llama_2_and_3_write_improves_llama_alone():
    teacher = "meta-llama/Meta-Llama-3-70B-Instruct"
    assert states(config(teacher)) == [(teacher, "disallowed"), (APACHE_STUDENT, "allowed")]
    assert states(config(teacher, "meta-llama/Meta-Llama-3-8B"))[0][1] == "allowed"
    assert states(config(teacher, LLAMA_STUDENT))[0][1] == "disallowed", "Llama 3.2 is another family"
    cut = config(teacher, {"init": {"from": "teacher", "layers": 4}})
    assert [state for _, state in states(cut)] == ["allowed", "allowed"]


def test_a_name_is_applied_or_demanded():
    teacher = "meta-llama/Llama-3.1-70B-Instruct"
    assert released_name(config(teacher)) == "Llama-intents"
    assert release_problems(config(teacher)) == []
    (problem,) = release_problems(config(teacher, name="intents"))
    assert "demands a name that begins with `Llama`, and `release.name` is 'intents'" in problem
    assert "Llama-intents" in problem
    assert release_problems(config(teacher, name="Llama-3.1-intents")) == []


def test_the_longest_prefix_holds():
    project = config("meta-llama/Meta-Llama-3-70B-Instruct", "meta-llama/Meta-Llama-3-8B")
    assert released_name(project) == "Llama-3-intents"
    (problem, _) = release_problems(
        config("meta-llama/Meta-Llama-3-70B-Instruct", "meta-llama/Meta-Llama-3-8B", name="Llama-x")
    )
    assert "`Llama 3`" in problem


def test_notices_follow_the_weights():
    as_teacher = findings(config("meta-llama/Llama-3.1-70B-Instruct"))
    assert notice_file(as_teacher) is None, "its name is all that the outputs demand"
    as_base = findings(config("Qwen/Qwen2.5-7B-Instruct", LLAMA_STUDENT))
    assert "Built with Llama" in notice_file(as_base)
    assert "Llama 3.2 is licensed under" in notice_file(as_base)


def test_a_student_of_gemma_3_stays_under_its_terms():
    found = findings(config("google/gemma-3-27b-it", NEW_STUDENT))
    assert [licence.hub_licence for licence in stays_under(found)] == ["gemma"]
    assert "Gemma is provided under and subject to the Gemma Terms of Use" in notice_file(found)
    assert stays_under(findings(config("google/gemma-4-31B-it", NEW_STUDENT))) == []


def test_outputs_of_qwen_72b_bring_a_notice():
    assert notice_file(findings(config("Qwen/Qwen2.5-72B-Instruct"))) == "Improved using Qwen\n"


def test_who_serves_an_open_model_has_terms_of_its_own():
    assert states(config(endpoint("Qwen/Qwen3-8B", "http://localhost:8000/v1")))[0] == ("Qwen/Qwen3-8B", "allowed")
    far = config(endpoint("Qwen/Qwen3-8B", "https://api.example.com/v1"))
    assert [state for name, state in states(far) if name == "Qwen/Qwen3-8B"] == ["allowed", "to check"]
    assert "the terms of api.example.com, which serves it, are not listed" in release_problems(far)[0]


def test_own_hosts():
    own = ("localhost", "gpu-box", "127.0.0.1", "10.1.2.3", "::1", "gpu.local", "vllm.team.internal")
    assert all(map(is_own, own))
    assert not any(map(is_own, ("api.example.com", "8.8.8.8", "2001:4860:4860::8888")))


def test_every_teacher_counts(tmp_path):
    mix = {"mix": [{"model": {"name": "Qwen/Qwen3-8B"}}, {"endpoint": endpoint()["endpoint"]}]}
    assert ("gpt-4o", "disallowed") in states(config(mix))
    judged = {
        "model": {"name": "Qwen/Qwen3-8B"},
        "generation": {"samples": 2, "temperature": 1},
        "best_of": {"choose": "judge", "judge": {"endpoint": endpoint()["endpoint"]}},
    }
    assert ("gpt-4o", "disallowed") in states(config(judged))


def test_a_new_model_has_no_terms_of_others():
    teacher = {"model": {"architecture": "llama"}, "fit": {}}
    assert findings(config(teacher, NEW_STUDENT)) == []
    assert release_problems(config(teacher, NEW_STUDENT)) == []


@pytest.mark.parametrize(
    ("card", "config_json", "families"),
    [
        ("---\nlicense: llama3.1\n---\n", {}, ["Llama 3.1"]),
        ("---\nlicense: apache-2.0\nbase_model: Qwen/Qwen2.5-7B\n---\n", {}, [for_model("Qwen/Qwen2.5-7B").family]),
        (
            "---\nlicense: mit\nbase_model: [meta-llama/Llama-3.2-1B]\n---\n",
            {},
            ["Llama 3.2", "a model whose card says MIT License"],
        ),
        ("---\nlicense: other\nlicense_name: mrl\n---\n", {}, ["Mistral under the Research License"]),
        ("", {"_name_or_path": "google/gemma-2-9b-it"}, ["Gemma 1 to 3n"]),
        ("---\nlicense: other\nlicense_name: my-own\n---\n", {}, [None]),
        ("---\nlicense: [\n---\n", {}, [None]),
        ("# no front matter\n", {"_name_or_path": "/somewhere"}, [None]),
    ],
)
def test_a_folder_says_whose_terms_hold(tmp_path, card, config_json, families):
    folder = tmp_path / "Llama-3.1-8B-Instruct"  # its name says nothing
    folder.mkdir()
    (folder / "README.md").write_text(card)
    (folder / "config.json").write_text(json.dumps(config_json))
    found = [f for f in findings(config(str(folder))) if f.role == "teacher"]
    assert [f.licence.family if f.licence else None for f in found] == families


def test_a_gguf_file_is_unknown(tmp_path):
    (finding, *_) = findings(config(str(tmp_path / "model.gguf")))
    assert finding.state == "to check"
