"""The preflight: what cannot work is found before anything is made or asked, and only what is pending counts."""

import json
import re
import socket
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from distill_dagster import process
from distill_dagster.cli import app
from distill_dagster.config import ModelConfig
from distill_dagster.config.reading import load_config
from distill_dagster.lineage.project import Project
from distill_dagster.lineage.snapshot import Snapshot
from distill_dagster.models.building import build, sketch, train_tokenizer
from distill_dagster.models.engines import vllm_offline
from distill_dagster.models.pinning import count_parameters
from distill_dagster.planning.steps import list_steps
from distill_dagster.preflight import devices, places
from distill_dagster.preflight.look import preflight
from distill_dagster.preflight.requirement import errors_of
from distill_dagster.resources import gpu
from distill_dagster.store import files
from distill_dagster.teachers.sending import forget_endpoints
from testing.api_project import write_api_project
from testing.gguf_tiny import write_gguf
from testing.models_tiny import TINY, rows, write_model
from testing.projects import TINY_LLAMA, run_project, write_project
from testing.wrong_places import said, wrong_place


@pytest.fixture(autouse=True)
def first_requests(monkeypatch):
    monkeypatch.setenv("DAGSTER_HOME", "")  # so that what a command leaves there is gone after the test
    forget_endpoints()
    yield
    forget_endpoints()


def look_at(path, whole=True, until=None, **given):
    look = Snapshot(Project(load_config(path)))
    return preflight(look, list_steps(look), whole=whole, until=until, **given)


def errors(path, **how) -> dict[tuple[str, str], str]:
    return {(found.what, found.of): found.found for found in look_at(path, **how) if found.state == "error"}


def test_a_project_that_can_work_has_no_error(tmp_path, server):
    found = look_at(write_api_project(tmp_path, server))
    assert {requirement.state for requirement in found} == {"ok"}
    assert {"key", "endpoint", "model", "pairing", "device", "memory", "disk", "write access"} == {
        r.what for r in found
    }
    assert server.counts()["total"] == 1


def test_only_one_request_is_sent_and_the_run_then_sends_none_alone(tmp_path, server, instance):
    path = write_api_project(tmp_path, server)
    look_at(path)
    run_project(load_config(path), instance, "teacher_outputs")
    prompts = server.counts()["by_prompt"]
    assert prompts.pop("Reply with the word OK.") == 1
    assert set(prompts.values()) == {1}


def test_the_request_is_paid_and_changes_no_estimate(tmp_path, server):
    path = write_api_project(tmp_path, server, endpoint={"price": {"completion": 1000.0}})
    look_at(path)
    from distill_dagster.planning.plan import make_plan

    plan = make_plan(Snapshot(Project(load_config(path))))
    assert plan.spent_usd > 0
    assert any("the limit, max_new_tokens" in rule for rule in plan.rules)


def test_a_key_that_is_not_set_is_named_and_nothing_is_sent(tmp_path, server, monkeypatch):
    monkeypatch.delenv("MADE_KEY", raising=False)
    path = write_api_project(tmp_path, server, endpoint={"api_key": "MADE_KEY"})
    for whole in (True, False):
        assert "MADE_KEY, which is not set" in errors(path, whole=whole)["key", "made"]
    assert server.counts()["total"] == 0


def test_without_the_whole_nothing_is_sent_nor_written_and_transformers_stays_out(tmp_path, server, monkeypatch):
    path = write_api_project(tmp_path, server)
    for name in [name for name in sys.modules if name.split(".")[0] == "transformers"]:
        monkeypatch.delitem(sys.modules, name)
    found = {requirement.what: requirement.state for requirement in look_at(path, whole=False)}
    assert (found["endpoint"], found["model"]) == ("not checked", "not checked")
    assert server.counts()["total"] == 0
    assert "transformers" not in sys.modules
    assert not (tmp_path / "store").exists()


def nowhere() -> str:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{free.getsockname()[1]}/v1"


def test_an_endpoint_that_is_not_there_is_named(tmp_path, server):
    path = write_api_project(tmp_path, server, endpoint={"url": nowhere()})
    assert "connection refused" in errors(path)["endpoint", "made"]


def test_every_endpoint_of_a_mix_and_of_a_panel_is_asked_once(tmp_path, server):
    with wrong_place(said(200, {"error": "Unexpected endpoint or method."})) as other:
        panel = [{"endpoint": {"url": other.url, "model": "second"}}]
        path = write_api_project(tmp_path, server, teacher={"best_of": {"teachers": panel}})
        found = errors(path)
    assert list(found) == [("endpoint", "second")]
    assert (server.counts()["total"], len(other.requests)) == (1, 1)


def test_a_request_that_is_refused_for_itself_is_a_warning(tmp_path, server):
    server.script(rules=[{"fault": "status", "status": 400, "text": "max_tokens is too large"}])
    found = [r for r in look_at(write_api_project(tmp_path, server)) if r.what == "endpoint"]
    assert [r.state for r in found] == ["warning"]
    assert "max_tokens is too large" in found[0].found


def test_a_spent_budget_is_an_error_and_nothing_is_sent(tmp_path, server, instance):
    price = {"price": {"completion": 1_000_000.0}}
    path = write_api_project(tmp_path, server, endpoint=price, teacher={"budget_usd": 1})
    run_project(load_config(path), instance, "teacher_outputs")
    before = server.counts()["total"]
    assert "budget_usd" in errors(path)["endpoint", "made"]
    assert server.counts()["total"] == before


def test_a_teacher_that_has_answered_needs_no_key(tmp_path, server, instance, monkeypatch):
    monkeypatch.setenv("MADE_KEY", "sk-0123456789")
    path = write_api_project(tmp_path, server, endpoint={"api_key": "MADE_KEY"})
    run_project(load_config(path), instance, "teacher_outputs")
    monkeypatch.delenv("MADE_KEY")
    before = server.counts()["total"]
    found = {requirement.what for requirement in look_at(path, until="student_checkpoint")}
    assert "model" in found
    assert not {"key", "endpoint"} & found
    (tmp_path / "data/train/part-00.jsonl").rename(tmp_path / "data/train/part-99.jsonl")
    found = {requirement.what for requirement in look_at(path, until="student_checkpoint")}
    assert not {"key", "endpoint"} & found, "all replies are stored"
    assert ("key", "made") in errors(path), "the teacher was not measured yet"
    assert server.counts()["total"] == before


def test_until_leaves_out_what_comes_later(tmp_path, server):
    path = write_api_project(tmp_path, server, **{"student.model.architecture": "lama"})
    assert ("model", "student.model") in errors(path)
    assert not errors(path, until="teacher_outputs")
    assert not errors(path, until="raw_dataset")
    assert server.counts()["total"] == 2


@pytest.mark.parametrize(
    ("changes", "of", "words"),
    [
        ({"student.model.architecture": "lama"}, "student.model", "llama"),
        ({"student.model.settings": {**TINY_LLAMA, "hidden_sise": 8}}, "student.model", "did you mean hidden_size"),
        ({"student.model.settings": {**TINY_LLAMA, "num_attention_heads": 5}}, "student.model", "32"),
        ({"teacher.model.architecture": "gtp2"}, "teacher.model", "gpt2"),
        ({"student.model": {"name": "./no-such-student"}}, "student.model", "no-such-student does not exist"),
        ({"student.model": {"name": "no/such/name"}}, "student.model", "neither a folder nor a name"),
    ],
)
def test_a_model_that_cannot_be_made_is_named_by_its_field(tmp_path, changes, of, words):
    found = errors(write_project(tmp_path, **changes))
    assert list(found) == [("model", of)]
    assert words in found["model", of]


@pytest.mark.parametrize(
    ("changes", "of", "words"),
    [
        ({"student.training.hidden": {"layers": [[1, 9]]}}, "student.model", "the teacher has 2 layers"),
        ({"student.training.hidden": {"relations": {"heads": 5}}}, "student.model", "does not divide"),
        ({"student.model": None, "student.init": {"layers": 3}}, "student.init", "and the teacher has 2 layers"),
    ],
)
def test_a_student_that_cannot_learn_from_its_teacher_is_named(tmp_path, changes, of, words):
    path = write_project(tmp_path, **{"student.training.signal": "hidden", **changes})
    found = errors(path)
    assert list(found) == [("pairing", of)]
    assert words in found["pairing", of]
    states = {(r.what, r.of): r.state for r in look_at(path, whole=False)}
    assert states["pairing", of] == "not checked"
    assert words in errors(path, until="teacher_outputs")["pairing", of]
    assert not errors(path, until="raw_dataset")


def test_a_student_that_is_cut_out_of_the_teacher_has_a_size(tmp_path):
    teacher = {**TINY_LLAMA, "num_hidden_layers": 6}
    path = write_project(
        tmp_path, **{"student.model": None, "student.init": {"layers": 2}, "teacher.model.settings": teacher}
    )
    found = {(r.what, r.of): r.found for r in look_at(path)}
    parameters = sketch(ModelConfig(architecture="llama", settings={**teacher, "num_hidden_layers": 2}), 400)
    assert found["pairing", "student.init"] == f"{parameters:,} parameters of the teacher"
    assert "GB for 16 rows of 1,024 tokens (weights" in found["memory", "student_checkpoint"]


def test_the_teachers_weights_are_part_of_the_memory_where_it_runs_beside_the_student(tmp_path):
    def needed(**changes):
        (folder := tmp_path / str(len(changes))).mkdir()
        found = look_at(write_project(folder, **changes))
        return next(r.found for r in found if (r.what, r.of) == ("memory", "student_checkpoint"))

    large = {"teacher.model.settings": {**TINY_LLAMA, "hidden_size": 1024, "intermediate_size": 4096}}
    alone, beside = needed(**large), needed(**large, **{"student.training.signal": "hidden"})
    assert "beside" not in alone
    assert "weights 0.0" in beside
    assert "the teacher beside it 0.1)" in beside  # 34 million parameters of 4 bytes


def test_a_folder_without_a_chat_template_and_a_torn_one_are_named(tmp_path):
    write_model(tmp_path / "mine")
    path = write_project(tmp_path, **{"student.model": {"name": "mine"}})
    assert not errors(path)
    (tmp_path / "mine/chat_template.jinja").unlink()
    assert "chat template" in errors(path)["model", "student.model"]
    weights = tmp_path / "mine/model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1])
    assert "torn" in errors(path, whole=False)["model", "student.model"]


def test_models_that_do_not_fit_their_use_are_named_once(tmp_path, monkeypatch):
    write_model(tmp_path / "mine")
    path = write_project(tmp_path, **{"student.model": {"name": "mine"}, "student.training.max_length": 4096})
    (tmp_path / "mine/adapter_config.json").write_text('{"base_model_name_or_path": "maker/base"}')
    for whole in (True, False):
        found = errors(path, whole=whole)
        assert list(found) == [("model", "student.model")]
        assert found["model", "student.model"].count("an adapter of maker/base") == 1
    gpt2 = {"architecture": "gpt2", "settings": {"n_embd": 16, "n_layer": 1, "n_head": 2, "n_positions": 64}}
    said = errors(write_project(tmp_path / "new", **{"student.model": gpt2}))["model", "student.model"]
    assert "has positions for 64 tokens: set `max_length: 64`" in said


def test_a_gguf_file_is_looked_at_without_its_weights(tmp_path):
    tokenizer = train_tokenizer([m["content"] for row in rows(32) for m in row["messages"]], 400)
    write_gguf(build(TINY, tokenizer), tokenizer, tmp_path / "tiny.gguf", quantized=False)
    path = write_project(tmp_path, **{"teacher.model": {"name": "./tiny.gguf"}})
    assert not errors(path)
    states = {r.of: r.state for r in look_at(path, whole=False) if r.what == "model"}
    assert states["teacher.model"] == "not checked"
    (tmp_path / "tiny.gguf").write_bytes((tmp_path / "tiny.gguf").read_bytes()[:500])
    assert "cannot be dequantized" in errors(path)["model", "teacher.model"]


def test_a_header_whose_variable_is_not_set_is_named(tmp_path, server, monkeypatch):
    monkeypatch.delenv("GATEWAY_KEY", raising=False)
    path = write_api_project(tmp_path, server, endpoint={"headers": {"X-Gateway": "$GATEWAY_KEY"}})
    assert "the header X-Gateway" in errors(path, whole=False)["key", "made"]


def test_a_published_model_whose_folder_is_gone_is_named(tmp_path, instance):
    write_model(tmp_path / "mine")
    path = write_project(tmp_path, **{"student.model": {"name": "mine"}})
    run_project(load_config(path), instance, "student_base")
    ref = Project(load_config(path)).store.get("student_base").file(files.MODEL_FILE)
    ref.write_text(ref.read_text().replace(str(tmp_path / "mine"), str(tmp_path / "cache")))
    found = errors(path, whole=False)
    assert "cache is gone: restore it, or materialize student_base again" in found["model", "student_base"]


@pytest.fixture
def one_gpu(monkeypatch):
    """A machine with one GPU of 16 GB."""
    for module in (gpu, devices):
        monkeypatch.setattr(module, "machine_devices", lambda: {"0": 16.0})
    monkeypatch.setattr(devices, "_torch_finds_cuda", lambda: True)


def test_a_gpu_that_is_wanted_and_not_there_is_named(tmp_path):
    path = write_project(tmp_path, **{"compute.train": {"gpus": 1, "cpu": False}})
    assert list(errors(path, whole=False)) == [("device", "student_checkpoint")]


def test_more_memory_than_any_gpu_has_is_named(tmp_path, one_gpu):
    changes = {"compute.devices": "auto", "compute.train": {"gpus": 1, "memory_gb": 80, "cpu": False}}
    assert "with 80 GB asked for" in errors(write_project(tmp_path, **changes))["device", "student_checkpoint"]


def test_a_gpu_that_nvidia_smi_does_not_list_is_a_warning(tmp_path, one_gpu):
    found = look_at(write_project(tmp_path, **{"compute.devices": ["3"]}), whole=False)
    assert {r.state for r in found if r.what == "device"} == {"warning"}
    assert any("GPU 3; nvidia-smi lists 0" in r.found for r in found)


def test_a_torch_without_cuda_is_named(tmp_path, one_gpu, monkeypatch):
    monkeypatch.setattr(devices, "_torch_finds_cuda", lambda: False)
    found = errors(write_project(tmp_path, **{"compute.devices": "auto"}))
    assert "CUDA build of torch" in found["device", "student_checkpoint"]


@pytest.mark.parametrize(
    ("settings", "state"),
    [
        ({"hidden_size": 2048, "num_hidden_layers": 22}, "warning"),
        ({"hidden_size": 4096, "num_hidden_layers": 32}, "error"),
    ],
)
def test_a_student_that_does_not_fit_the_gpu_is_named_before_it_trains(tmp_path, one_gpu, settings, state):
    """0.8 billion parameters take 13 of 16 GB without their activations, and 5 billion do not fit."""
    model = {**TINY_LLAMA, **settings, "intermediate_size": 4 * settings["hidden_size"] // 2}
    changes = {"student.model": {"architecture": "llama", "settings": model}, "compute.devices": "auto"}
    changes |= {"student.training.batch_size": 1, "student.training.max_length": 64}
    found = [
        r for r in look_at(write_project(tmp_path, **changes)) if (r.what, r.of) == ("memory", "student_checkpoint")
    ]
    assert [r.state for r in found] == [state], found


@pytest.fixture
def two_gpus(monkeypatch):
    """A machine with two GPUs of 16 GB."""
    for module in (gpu, devices):
        monkeypatch.setattr(module, "machine_devices", lambda: {"0": 16.0, "1": 16.0})
    monkeypatch.setattr(devices, "_torch_finds_cuda", lambda: True)


@pytest.mark.parametrize(
    ("parallel", "state", "said"),
    [
        ("auto", "ok", "on each of 2 devices, with a part of the weights (fsdp)"),
        ("ddp", "error", "on each of 2 devices, with a copy of the model (ddp)"),
    ],
)
def test_gpus_that_share_a_training_split_a_model_that_does_not_fit_one(tmp_path, two_gpus, parallel, state, said):
    """0.8 billion parameters take 13 of 16 GB, and 3 more where gradients are averaged in buckets."""
    model = {**TINY_LLAMA, "hidden_size": 2048, "num_hidden_layers": 22, "intermediate_size": 4096}
    changes = {"student.model": {"architecture": "llama", "settings": model}, "compute.devices": "auto"}
    changes |= {"student.training.batch_size": 2, "student.training.max_length": 64, "compute.train": {"gpus": 2}}
    path = write_project(tmp_path, **changes, **{"student.training.parallel": parallel})
    (found,) = [r for r in look_at(path) if (r.what, r.of) == ("memory", "student_checkpoint")]
    assert found.state == state, found
    assert said in found.found
    assert "of 16.0 GB of each GPU" in found.found
    assert "for 1 rows of 64 tokens" in found.found


def test_a_teacher_is_spread_over_its_gpus_and_processes_share_the_main_memory(tmp_path, two_gpus, monkeypatch):
    changes = {"compute.devices": "auto", "compute.generate": {"gpus": 2}}
    found = {(r.what, r.of): r.found for r in look_at(write_project(tmp_path, **changes))}
    assert "of 32.0 GB of 2 GPUs" in found["memory", "teacher_outputs"]
    monkeypatch.setattr(devices, "main_memory_gb", lambda: 24.0)
    changes = {"compute.devices": [], "compute.train": {"processes": 3}}
    found = {(r.what, r.of): r.found for r in look_at(write_project(tmp_path, **changes))}
    assert "of 8.0 GB of main memory for each of 3 processes" in found["memory", "student_checkpoint"]


def test_activations_that_do_not_fit_are_named_with_the_ways_out(tmp_path, one_gpu):
    """0.1 billion parameters take 2 of 16 GB, and 256 rows of 1,024 tokens the rest."""
    model = {**TINY_LLAMA, "hidden_size": 1024, "intermediate_size": 2048, "num_hidden_layers": 8}
    changes = {"student.model": {"architecture": "llama", "settings": model}, "compute.devices": "auto"}
    training = {"student.training.batch_size": 64, "student.training.max_length": 1024}
    path = write_project(tmp_path, **changes, **training)
    planned = look_at(path, whole=False, plans_memory=True)
    (said,) = [found.found for found in planned if (found.what, found.state) == ("memory", "error")]
    assert re.search(r"peak [\d.]+ GB for 64 rows of 1,024 tokens \(weights 0\.3, optimizer's state 0\.7", said), said
    assert re.search(r"these would fit: gradient_checkpointing: true \([\d.]+ GB\); batch_size: \d+ with", said), said
    assert len(set(said.partition("would fit: ")[2].split("; "))) == 3
    unplanned = {r.of: r.found for r in look_at(path, whole=False) if r.what == "memory"}
    assert "rows of" not in str(unplanned)


def test_adapters_that_do_not_fit_the_model_are_named_before_anything_is_made(tmp_path):
    path = write_project(tmp_path, **{"student.training.lora": {"targets": ["q_proi"]}})
    assert "some of q_proj, k_proj" in errors(path)["memory", "student_checkpoint"]


def test_too_little_main_memory_and_disk_are_named(tmp_path, monkeypatch):
    model = {**TINY_LLAMA, "hidden_size": 1024, "num_hidden_layers": 8}
    path = write_project(tmp_path, **{"student.model": {"architecture": "llama", "settings": model}})
    assert not errors(path)
    monkeypatch.setattr(devices, "main_memory_gb", lambda: 0.1)
    usage = type("Usage", (), {"free": 10_000_000})
    monkeypatch.setattr(places.shutil, "disk_usage", lambda folder: usage)
    assert {("memory", "student_checkpoint"), ("disk", "store")} <= set(errors(path))


@pytest.mark.parametrize(
    ("training", "room"),
    [
        ({}, 16),  # weights, a checkpoint's weights, AdamW's moments
        ({"weights": "bfloat16"}, 14),
        ({"optimizer": "adafactor"}, 8),
        ({"lora": {}}, 4),  # adapters are in the checkpoints
    ],
)
def test_the_room_on_disk_is_that_of_what_the_training_writes(tmp_path, monkeypatch, training, room):
    """The pinned teacher is 50 times as large as the student and takes no room at all."""
    teacher, student = ({**TINY_LLAMA, "hidden_size": size} for size in (512, 32))
    for name, settings in (("teacher", teacher), ("student", student)):
        write_model(tmp_path / name, ModelConfig(architecture="llama", settings=settings, vocab_size=400))
    models = {f"{name}.model": {"name": str(tmp_path / name)} for name in ("teacher", "student")}
    path = write_project(
        tmp_path, **{**models, "teacher.fit": None, **{f"student.training.{n}": v for n, v in training.items()}}
    )
    count = count_parameters(tmp_path / "student")
    for free, fits in ((room * count - 1, False), (room * count, True)):
        usage = type("Usage", (), {"free": free})
        monkeypatch.setattr(places.shutil, "disk_usage", lambda folder, usage=usage: usage)
        assert (("disk", "store") not in errors(path)) == fits


def test_a_container_has_the_memory_of_its_limit(tmp_path, monkeypatch):
    limit = tmp_path / "memory.max"
    monkeypatch.setattr(process, "CGROUP_LIMITS", (str(limit),))
    limit.write_text("max\n")
    free = devices.main_memory_gb()
    limit.write_text(f"{2**29}\n")
    assert devices.main_memory_gb() == 0.5 < free


@pytest.mark.parametrize("whole", [True, False])
def test_a_store_or_home_that_cannot_be_written_is_named(tmp_path, monkeypatch, whole):
    look = Snapshot(Project(load_config(write_project(tmp_path, store="later/store"))))
    (tmp_path / "later").write_text("a file since the config was read")

    def found(name: str) -> str:
        requirements = preflight(look, list_steps(look), whole=whole)
        return next((r.found for r in errors_of(requirements) if (r.what, r.of) == ("write access", name)), "")

    assert "cannot be written" in found("store")
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path / "later"))
    assert "cannot be written" in found("DAGSTER_HOME")
    monkeypatch.setenv("DAGSTER_HOME", "/proc/no-such-folder")
    assert not whole or "cannot be written" in found("DAGSTER_HOME")


def command(*arguments: object):
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def test_check_and_plan_and_run_exit_with_two_before_anything_is_made(tmp_path, server, monkeypatch):
    monkeypatch.delenv("MADE_KEY", raising=False)
    path = write_api_project(tmp_path, server, endpoint={"api_key": "MADE_KEY"})
    for verb in ("check", "plan", "run"):
        ended = command(verb, "--config", path)
        assert ended.exit_code == 2, ended.output
        assert "MADE_KEY, which is not set" in " ".join(ended.output.split())
    project = Project(load_config(path))
    assert project.store.find("eval_dataset") is None
    found = json.loads(command("check", "--config", path, "--json").stdout)
    assert [r["what"] for r in found if r["state"] == "error"] == ["key"]
    planned = json.loads(command("plan", "--config", path, "--json").stdout)
    assert [r["what"] for r in planned["preflight"] if r["state"] == "error"] == ["key"]


def test_check_of_a_project_that_can_work_is_one_table_and_exits_with_zero(tmp_path, server):
    shown = command("check", "--config", write_api_project(tmp_path, server))
    assert shown.exit_code == 0, shown.output
    assert "What the run needs" in shown.stdout
    assert "answered" in shown.stdout


def test_check_refuses_an_unknown_asset(tmp_path, server):
    refused = command("check", "--config", write_api_project(tmp_path, server), "--until", "the_end")
    assert refused.exit_code == 2
    assert Path(tmp_path / "store").exists() is False


@pytest.mark.parametrize(("student", "state"), [("own", "ok"), ("other", "error")])
def test_a_signal_that_needs_the_teachers_tokenizer_compares_them(tmp_path, student, state):
    models = {"teacher": TINY, "own": TINY, "other": TINY.model_copy(update={"vocab_size": 330})}
    for name, model in models.items():
        write_model(tmp_path / name, model)
    changes = {
        "teacher.model": {"name": str(tmp_path / "teacher")},
        "teacher.fit": None,
        "student.model": {"name": str(tmp_path / student)},
        "student.training.signal": "on_policy",
        "student.training.max_length": 128,
    }
    path = write_project(tmp_path, **changes)
    (found,) = (found for found in look_at(path) if found.what == "pairing")
    assert found.state == state
    assert "the student's" in found.found or state == "ok"
    (quick,) = (found for found in look_at(path, whole=False) if found.what == "pairing")
    assert quick.state == "not checked"


def test_text_needs_no_tokenizer_and_rounds_need_their_devices_and_room(tmp_path):
    assert "student.training" not in {found.of for found in look_at(write_project(tmp_path))}
    found = look_at(write_project(tmp_path, **{"student.training.signal": "on_policy"}))
    leased = [one.of for one in found if one.what == "device"]
    assert {"student_round_0", "student_rollouts_1", "rollout_logits_2", "student_round_2"} <= set(leased)
    assert "student_checkpoint" not in leased, "the last round's weights are copied"
    planned = {one.of: one.found for one in found if one.what == "memory" and "activations" in one.found}
    assert {"student_round_0", "student_round_1", "student_round_2"} <= planned.keys()
    assert planned["student_round_1"] == planned["student_round_2"] != planned["student_round_0"]


def test_rollouts_that_do_not_fit_the_students_context_are_found_before_a_run(tmp_path):
    write_model(tmp_path / "student")
    changes = {
        "teacher.model": {"name": str(tmp_path / "student")},
        "teacher.fit": None,
        "student.model": {"name": str(tmp_path / "student")},
        "student.training.signal": "on_policy",
        "student.training.max_length": 128,
        "student.training.on_policy": {"max_new_tokens": 128},
    }
    assert "does not fit" in errors(write_project(tmp_path, **changes))["model", "student.model"]


def test_vllm_that_is_not_there_or_has_no_gpu_is_found_before_the_run(tmp_path, monkeypatch):
    changes = {"teacher.generation.engine": "vllm", "compute.backend": "subprocess"}
    path = write_project(tmp_path, **changes)
    asked = ("engine", "teacher_outputs")
    monkeypatch.setattr(vllm_offline.importlib.util, "find_spec", lambda name: None)
    assert "install `distill-dagster[vllm]`" in errors(path, whole=False)[asked]
    monkeypatch.setattr(vllm_offline.importlib.util, "find_spec", lambda name: name)
    assert "would run on the CPU" in errors(path, whole=False)[asked]
    ours = write_project(tmp_path / "ours")
    assert asked not in errors(ours, whole=False)
