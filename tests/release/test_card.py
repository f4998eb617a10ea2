"""The released student's card, of a project that was run end to end: it is read offline, and its snippet runs."""

import json
import re
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from huggingface_hub import ModelCard, parse_eval_result_entries

from distill_dagster.config import DistillConfig
from distill_dagster.errors import NotPublishedError
from distill_dagster.lineage.snapshot import Snapshot
from distill_dagster.lineage.stages import stages_of
from distill_dagster.quality.filters.in_words import IN_WORDS
from distill_dagster.release.card import card_files, release_card
from distill_dagster.release.findings import findings
from distill_dagster.release.made import Made
from distill_dagster.store import files
from distill_dagster.store.backend import LocalFiles
from distill_dagster.store.sharing import replace_texts


def manifests(project):
    look = Snapshot(project)
    for stage in stages_of(project.config):
        yield from look.get_all(stage.name).values() if stage.sharded else [look.get(stage.name)]


def made_with(made, **changes) -> Made:
    """What the project made, under a config with other models and another release."""
    project = made[0]
    settings = project.config.model_dump()
    for section, values in changes.items():
        settings[section] = {**(settings[section] or {}), **values}
    return Made.of(DistillConfig.model_validate(settings), manifests(project))


@pytest.fixture
def run(made) -> Made:
    return made_with(made)


def section(text: str, title: str) -> str:
    return text.split(f"\n## {title}\n")[1].split("\n## ")[0]


def test_the_hub_library_reads_scores_and_tags_offline(run):
    data = ModelCard(release_card(run)).data
    assert data.library_name == "transformers"
    assert data.tags == ["distillation", "distill-dagster", "qa"]
    assert data.model_name == "distillation"
    assert data.license is None, "the weights are the project's own"
    by_metric = {(r.task_name, r.metric_name.partition(",")[0]): r for r in data.eval_results}
    for task, score in run.measured.by_task.items():
        headline = by_metric[task, score.headline]
        assert headline.metric_value == pytest.approx(score.score, abs=1e-6)
        assert headline.metric_name.endswith(f"{score.items} items")
        assert f"{score.interval[0]:.4g}–{score.interval[1]:.4g}" in headline.metric_name
        assert headline.dataset_revision == run.manifests["eval_dataset"].data_version
        assert {metric for found, metric in by_metric if found == task} == set(score.metrics)


def test_the_snippet_runs_beside_the_weights(run, tmp_path, monkeypatch, capsys):
    folder = tmp_path / "released"
    shutil.copytree(run.manifests["student_checkpoint"].folder / files.WEIGHTS_FOLDER, folder)
    replace_texts(folder, card_files(run))
    (snippet,) = re.findall(r"```python\n(.*?)```", (folder / "README.md").read_text(), re.DOTALL)
    monkeypatch.chdir(folder)
    scope: dict = {}
    exec(snippet, scope)
    assert scope["output"].shape[1] > scope["prompt"]["input_ids"].shape[1]
    assert capsys.readouterr().out.endswith("\n")
    assert f"max_new_tokens={run.measured.max_new_tokens}," in snippet


def test_the_card_says_what_went_in(run):
    text = release_card(run)
    counts = run.examples.counts
    data = section(text, "Data")
    assert f"| answers of the teacher | {counts.teacher_rows:,} |" in data
    refused = [int(n.replace(",", "")) for n in re.findall(r"\| refused: .* \| ([\d,]+) \|", data)]
    assert sum(refused) == counts.rejected
    for reason in counts.by_reason:
        assert IN_WORDS[reason] in data.replace("\\", "")
    lineage = section(text, "Lineage")
    for ref in (run.base_ref, *run.faculty.refs):
        assert ref.revision in lineage
    for name in ("validated_synthetic_set", "student_checkpoint", "eval_dataset"):
        assert run.manifests[name].data_version in lineage
    training = section(text, "Training")
    assert "| objective | CE |" in training
    assert "| learning\\_rate | 0.01 |" in training
    assert f"| steps | {run.student.steps:,} |" in training
    cost = section(text, "Cost")
    assert re.search(r"\| student\\_checkpoint \| [\d,.]+ s on cpu \|", cost)
    assert "| the teacher's answers | no money: it ran on this machine |" in cost
    assert "| torch |" in section(text, "Made with")


def test_scores_stand_beside_teacher_and_baseline(run):
    table = section(release_card(run), "Scores")
    rows = [line for line in table.splitlines() if line.startswith("| ") and "---" not in line][1:]
    assert len(rows) == len(run.measured.by_task)
    assert all(len(re.findall(r"\d+\.\d %", row)) == 3 for row in rows)


def test_a_weak_teacher_is_said_first(run):
    text = release_card(run)
    assert run.document.weak_teacher, "a teacher of this size is weak"
    assert text.index("**Weak teacher: ") < text.index("A student of ")


def test_the_same_artefacts_make_the_same_card(run):
    assert release_card(run) == release_card(run)


def test_limits_count_answers_that_failed(run):
    limits = section(release_card(run), "Limits")
    assert f"Measured on {run.measured.items} held-out items" in limits
    for note in run.document.notes:
        assert note.split()[0] in limits
    for what, count in (("could not be parsed", run.measured.unparsable), ("were cut off", run.measured.truncated)):
        assert (f"answers {what}; they count as wrong." in limits) == (count > 0)


def test_no_path_of_this_machine_is_in_the_card(run):
    store = Path(run.config.store).resolve()
    assert str(store) not in release_card(run)
    assert str(store.parent) not in release_card(run)


LLAMA = {"model": {"name": "meta-llama/Llama-3.2-1B"}}
GEMMA = {"model": {"name": "google/gemma-3-27b-it"}, "fit": None}


def test_names_notices_and_licence_are_applied(made, tmp_path):
    changed = made_with(made, student=LLAMA)
    replace_texts(tmp_path, card_files(changed))
    text = (tmp_path / "README.md").read_text()
    assert ModelCard(text).data.license == "llama3.2"
    assert ModelCard(text).data.model_name == "Llama-distillation"
    assert "\n# Llama-distillation\n" in text
    assert "> Built with Llama" in section(text, "Licences")
    assert "not legal advice" in text
    assert "700 million" in text
    assert "Built with Llama" in (tmp_path / "NOTICE").read_text()


def test_two_licences_with_conditions_are_named_together(made):
    data = ModelCard(release_card(made_with(made, student=LLAMA, teacher=GEMMA))).data
    assert data.license == "other"
    assert data.license_name == "gemma-terms-of-use-and-llama-3.2-community-license-agreement"
    assert data.license_link.startswith("https://")


def test_without_demands_there_is_no_notice(run, tmp_path):
    replace_texts(tmp_path, card_files(run))
    assert not (tmp_path / "NOTICE").exists()
    assert not (tmp_path / ".eval_results").exists()
    assert "No licence of others holds" in (tmp_path / "README.md").read_text()


def test_a_benchmark_of_the_hub_gets_its_results(made, tmp_path):
    benchmark = {"dataset": "openai/gsm8k", "task_id": "gsm8k", "revision": "abc123"}
    changed = made_with(made, release={"benchmark": benchmark})
    replace_texts(tmp_path, card_files(changed))
    (entry,) = parse_eval_result_entries(yaml.safe_load((tmp_path / ".eval_results/gsm8k.yaml").read_text()))
    assert (entry.dataset_id, entry.task_id, entry.dataset_revision) == ("openai/gsm8k", "gsm8k", "abc123")
    assert entry.value == pytest.approx(changed.measured.score, abs=1e-6)
    assert entry.date == changed.manifests["student_benchmark"].created_at[:10]
    assert f"{changed.measured.items} items" in entry.notes
    assert {r.dataset_type for r in ModelCard(release_card(changed)).data.eval_results} == {"openai/gsm8k"}


def test_texts_of_the_project_stay_text(run, tmp_path):
    report = run.manifests["eval_report"]
    document = json.loads(report.file(files.REPORT_FILE).read_text())
    document["notes"] = ["<script>x</script> {{ 7 * 7 }} [a](b)"]
    (tmp_path / files.REPORT_FILE).write_text(json.dumps(document))
    changed = Made(run.config, {**run.manifests, "eval_report": replace(report, files_at=LocalFiles(str(tmp_path)))})
    limits = section(release_card(changed), "Limits")
    assert "&lt;script&gt;x&lt;/script&gt; {{ 7 \\* 7 }} \\[a\\](b)" in limits


def test_a_project_without_a_report_has_no_card(made):
    project = made[0]
    found = [manifest for manifest in manifests(project) if manifest.asset != "eval_report"]
    with pytest.raises(NotPublishedError, match="eval_report is not in"):
        Made.of(project.config, found)


def test_findings_of_the_made_project_are_empty(run):
    assert findings(run.config) == []
