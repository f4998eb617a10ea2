"""Exports of a tiny student are timed in their own runtimes, and give the answers for which they are published."""

import json
import shutil
from pathlib import Path

import pytest

from distill_dagster.config import EvaluationConfig, ExportFormat, SpeedConfig
from distill_dagster.errors import ComputeError
from distill_dagster.evaluation.speed.benchmark import time_models
from distill_dagster.evaluation.speed.contestants import Child
from distill_dagster.evaluation.speed.engines import Messages, Order
from distill_dagster.evaluation.speed.specs import SpeedDocument, SpeedSpec, TimedModel
from distill_dagster.models.fitness import open_parts
from distill_dagster.models.pinning import pin_folder
from distill_dagster.models.ref import ModelRef
from distill_dagster.release.export import timed
from distill_dagster.release.export.asking import ASK
from distill_dagster.release.export.formats import GGUF_FILE, RUNS, TIMED_PROCESS, family, precision
from distill_dagster.release.export.gguf_vocabulary import template_of
from distill_dagster.release.export.onnx_folder import SETTINGS, build_onnx
from distill_dagster.release.export.specs import RuntimeSpec
from distill_dagster.store import parquet, schemas
from testing.exports_tiny import export_gguf, teach, write_kind
from testing.timed import MACHINE
from tests.evaluation.builders import ROWS

pytestmark = pytest.mark.processes

NEW_TOKENS, ROOM = 6, 120
FORMS: tuple[ExportFormat, ...] = ("gguf_q8_0", "onnx_int8")
TEXTS = ["red", "The cup is red. Which colour?", "a b c d e f g h", "x y " * 20, "1234567 ½²", "I'll we've IT'S"]
PROMPTS: list[Messages] = [[{"role": "user", "content": text}] for text in TEXTS]
TOO_LONG: Messages = [{"role": "user", "content": "x y " * 200}]


@pytest.fixture(scope="module")
def student(tmp_path_factory) -> ModelRef:
    folder = tmp_path_factory.mktemp("student")
    write_kind("tied", folder, intermediate_size=128)
    teach(folder)
    return pin_folder(folder, name="tiny")


@pytest.fixture(scope="module")
def exports(student, tmp_path_factory) -> dict[ExportFormat, Path]:
    """The folder of each export."""
    work, parts = tmp_path_factory.mktemp("exports"), open_parts(Path(student.path), None)
    folders = {form: work / form for form in FORMS}
    for form, folder in folders.items():
        folder.mkdir()
        if family(form) == "gguf":
            export_gguf(parts, Path(student.path), folder / GGUF_FILE, precision(form))
        else:
            how = {"precision": precision(form), "max_length": ROOM, "work": work}
            build_onnx(Path(student.path), template_of(parts.tokenizer), parts.ends, folder, **how)
    return folders


def timed_export(form: ExportFormat, folder: Path, student: ModelRef) -> TimedModel:
    return TimedModel(
        name=form,
        model=student.model_copy(update={"path": str(folder)}),
        engine=RUNS[family(form)],
        process=TIMED_PROCESS,
        max_length=ROOM,
    )


def order(model: TimedModel, prompts: list[Messages], most_in_flight: int = 8) -> Order:
    how = {"device": "cpu", "max_new_tokens": NEW_TOKENS, "most_in_flight": most_in_flight}
    return Order(timed=model, prompts=prompts, **how)


def counts(model: TimedModel, prompts: list[Messages], concurrency: int) -> tuple[int, int]:
    """Tokens of the prompts and of the answers."""
    with Child(order(model, prompts)) as child:
        child.use(child.ready.usable)
        turn = child.turn(range(len(prompts)), concurrency)
        return turn.prompt_tokens, turn.tokens


@pytest.mark.parametrize("form", FORMS)
def test_an_export_answers_in_turns_as_it_was_published(form, exports, student):
    """As many tokens as where its answers are compared with those of the checkpoint, alone and side by side."""
    asked = RuntimeSpec(folder=str(exports[form]), prompts=PROMPTS, max_new_tokens=NEW_TOKENS, max_length=ROOM)
    published = list(ASK[family(form)](asked))
    model = timed_export(form, exports[form], student)
    with Child(order(model, [*PROMPTS, TOO_LONG])) as child:
        assert child.ready.usable == list(range(len(PROMPTS))), "the last prompt does not fit"
        child.use(child.ready.usable)
        turns = {many: child.turn(range(len(PROMPTS)), many) for many in (1, 3, 6)}
        memory = child.close()
    for many, turn in turns.items():
        assert turn.tokens == sum(answer.completion_tokens for answer in published), many
        assert turn.prompt_tokens == sum(len(answer.prompt) for answer in published)
        assert len(turn.first_token_ms) == len(turn.latencies_ms) == len(PROMPTS)
        assert all(0 < first <= last for first, last in zip(turn.first_token_ms, turn.latencies_ms, strict=True))
        assert turn.cpu_s > 0
    files = exports[form].glob("*.onnx*") if family(form) == "onnx" else [exports[form] / GGUF_FILE]
    assert memory.weight_bytes == sum(file.stat().st_size for file in files)
    values = 2 * 2 * 2 * 16  # keys and values, layers, heads, head size
    assert memory.kv_bytes_per_token == values * (4 if family(form) == "onnx" else 2)
    assert memory.floor_bytes > memory.weight_bytes
    assert child.ready.versions[timed.RUNTIMES[family(form)]]


@pytest.mark.parametrize("form", FORMS)
def test_an_answer_is_cut_off_at_the_limit(form, exports, student):
    """Also that to the longest prompt, for which a slot has just enough room."""
    model = timed_export(form, exports[form], student)
    longest = [[{"role": "user", "content": "a b c d e f g"}]]
    asked = RuntimeSpec(folder=str(exports[form]), prompts=longest, max_new_tokens=NEW_TOKENS, max_length=ROOM)
    (published,) = ASK[family(form)](asked)
    assert (published.finish_reason, published.completion_tokens) == ("length", NEW_TOKENS)
    assert counts(model, longest, 1) == (len(published.prompt), published.completion_tokens)


def test_padding_is_never_taken_for_the_end_of_a_prompt(exports, student, tmp_path):
    """Some models pad with a token that their template writes last."""
    folder = tmp_path / "padded"
    shutil.copytree(exports["onnx_int8"], folder)
    tokens = open_parts(Path(student.path), None).tokenizer
    settings = json.loads((folder / SETTINGS).read_text())
    ids = tokens.apply_chat_template(PROMPTS[0], add_generation_prompt=True, return_dict=True)["input_ids"]
    settings["model"]["pad_token_id"] = ids[-1]
    (folder / SETTINGS).write_text(json.dumps(settings))
    usual, padded = (timed_export("onnx_int8", at, student) for at in (exports["onnx_int8"], folder))
    assert counts(padded, PROMPTS, 6) == counts(usual, PROMPTS, 6) == counts(usual, PROMPTS, 1)


def test_exports_are_timed_in_the_rounds_of_the_other_models(exports, student, tmp_path):
    parquet.write_table(tmp_path / "raw.parquet", ROWS, schemas.RAW)
    roles = [TimedModel(name=name, model=student) for name in ("teacher", "student")]
    spec = SpeedSpec(
        models=[*roles, *(timed_export(form, exports[form], student) for form in FORMS)],
        machine=MACHINE,
        rows=str(tmp_path / "raw.parquet"),
        max_new_tokens=NEW_TOKENS,
        evaluation=EvaluationConfig(latency_requests=5, speed=SpeedConfig(rounds=3, seconds=1, concurrency=[1, 2])),
        responses=str(tmp_path / "responses"),
        out=str(tmp_path),
    )
    time_models(spec, "cpu")
    document = SpeedDocument.model_validate_json((tmp_path / "speed.json").read_text())
    assert [model.name for model in document.exports] == list(FORMS)
    for one in document.rounds:
        assert [(turn.model, turn.concurrency) for turn in one.turns] == [(m, c) for c in (1, 2) for m in one.order]
        assert sorted(one.order) == sorted(["teacher", "student", *FORMS])
    for form, found in zip(FORMS, document.exports, strict=True):
        assert found.bytes_on_disk == sum(file.stat().st_size for file in exports[form].rglob("*"))
        assert found.bytes_on_disk >= found.memory.weight_bytes > 0
        assert (found.dtype, found.parameters) == (precision(form), student.parameters)
        ratio = document.ratio("latency", model=form)
        assert (ratio.against, ratio.withheld is None) == ("teacher", ratio.value is not None)
    assert {"torch", "xllamacpp", "onnxruntime-genai"} <= document.versions.keys()


@pytest.mark.parametrize("form", FORMS)
def test_an_export_that_its_runtime_cannot_open_says_why(form, student, tmp_path):
    (tmp_path / GGUF_FILE).write_bytes(b"GGUF and no more")
    (tmp_path / SETTINGS).write_text("{}")
    model = timed_export(form, tmp_path, student)
    with (
        pytest.raises(ComputeError, match=rf"measuring tiny as {form} on cpu failed"),
        Child(order(model, PROMPTS)) as c,
    ):
        _ = c.ready


@pytest.mark.parametrize("form", FORMS)
def test_a_missing_runtime_is_named_before_anything_is_loaded(form, student, tmp_path, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    kind = timed.ENGINES[RUNS[family(form)]]
    with pytest.raises(ComputeError, match=r"needs .*install `distill-dagster\[export\]`"):
        kind.imports(timed_export(form, tmp_path, student))


def test_prompts_have_different_lengths(student):
    """Else the batches of these tests would need no padding."""
    template = open_parts(Path(student.path), None).tokenizer.apply_chat_template
    lengths = {len(template(p, add_generation_prompt=True, return_dict=True)["input_ids"]) for p in PROMPTS}
    assert len(lengths) == len(PROMPTS)
