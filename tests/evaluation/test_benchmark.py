"""One model over held-out rows: a real tiny model, and answers judged one by one."""

import json
from pathlib import Path

import pytest

from distill_dagster.config import EvaluationConfig, ModelConfig
from distill_dagster.errors import DataError
from distill_dagster.evaluation import benchmark
from distill_dagster.evaluation.asking import ask_local
from distill_dagster.evaluation.benchmark import judge, run_benchmark, score_predictions
from distill_dagster.evaluation.metrics import compute
from distill_dagster.evaluation.specs import Benchmark, BenchmarkResult, BenchmarkSpec
from distill_dagster.models.building import build, save, train_tokenizer
from distill_dagster.models.decoding import complete
from distill_dagster.models.loading import load
from distill_dagster.models.pinning import pin
from distill_dagster.models.ref import ModelRef
from distill_dagster.report.specs import Origin, Provenance, ReportSpec
from distill_dagster.report.writing import write_report
from distill_dagster.store import parquet, schemas
from distill_dagster.store.manifest import Manifest
from distill_dagster.tasks.prompts import prompts_of
from distill_dagster.teachers.protocol import Reply
from tests.evaluation.builders import ROWS

EVALUATION = EvaluationConfig(resamples=200, batch_tokens=4096)


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> ModelRef:
    folder = tmp_path_factory.mktemp("model")
    tokenizer = train_tokenizer([m["content"] for row in ROWS for m in row["messages"]] * 2, 320)
    settings = {
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "max_position_embeddings": 256,
    }
    save(build(ModelConfig(architecture="llama", settings=settings), tokenizer), tokenizer, folder)
    return pin(ModelConfig(name=str(folder)))


def spec_of(model: ModelRef, folder: Path, rows=ROWS, role="student") -> BenchmarkSpec:
    path = folder / "raw.parquet"
    parquet.write_table(path, rows, schemas.RAW)
    (folder / "out").mkdir()
    return BenchmarkSpec(
        role=role,
        model=model,
        rows=str(path),
        max_new_tokens=8,
        evaluation=EVALUATION,
        responses=str(folder / "responses"),
        out=str(folder / "out"),
    )


@pytest.fixture(scope="module")
def produced(model, tmp_path_factory):
    folder = tmp_path_factory.mktemp("benchmark")
    return run_benchmark(spec_of(model, folder), "cpu"), folder / "out"


def test_counts_add_up_and_every_prompt_has_a_prediction(produced):
    made, out = produced
    rows = parquet.read_table(out / "predictions.parquet")
    assert made.counts.rows == 9
    assert made.counts.predictions == len(rows) == 10  # the conversation has two turns
    assert [(r["row_id"], r["turn"]) for r in rows][-2:] == [("talk", 0), ("talk", 1)]
    assert made.counts.unscored == 1
    assert made.counts.failed == 1  # the long prompt
    parsed = sum(r["parsed"] is not None for r in rows)
    assert parsed + made.counts.unparsable + made.counts.truncated + made.counts.failed == len(rows)
    assert [r["score"] for r in rows if r["row_id"] in ("unscored", "long")] == [None, 0.0]


def test_a_local_model_gives_its_greedy_answers_row_by_row_and_nothing_is_stored(model, tmp_path):
    twin = {**ROWS[0], "row_id": "twin"}  # shares its prompt, and so its request, with the first row
    spec = spec_of(model, tmp_path, [*ROWS, twin])
    heard = []
    prompts = [prompt for row in [*ROWS, twin] for prompt in prompts_of(row)]
    replies = ask_local(spec, "cpu", prompts, heard.append)
    expected = complete(
        load(model, "cpu"), [prompt.messages for prompt in prompts], max_new_tokens=8, batch_tokens=4096
    )
    assert [(r.text or "", r.finish_reason, r.prompt_tokens, r.completion_tokens, r.error_code) for r in replies] == [
        (c.text, c.finish_reason, c.prompt_tokens, c.completion_tokens, c.error_code) for c in expected
    ]
    assert replies[0].request_hash == replies[-1].request_hash
    assert sum(heard) == len(prompts)
    assert not Path(spec.responses).exists()


def test_the_document_is_what_the_files_say(produced):
    made, out = produced
    document = json.loads((out / "benchmark.json").read_text())
    assert Benchmark.model_validate(document) == Benchmark.model_validate(made.model_dump())
    assert document["items"] == 8
    assert document["by_task"].keys() == {"nli", "math", "conversation"}
    rows = parquet.read_table(out / "predictions.parquet")
    nli = [r for r in rows if r["task"] == "nli" and r["reference"]]
    assert document["by_task"]["nli"]["metrics"] == compute("nli", nli)
    assert document["by_task"]["nli"]["items"] == 6
    low, high = document["interval"]
    assert low <= document["score"] <= high
    assert len(made.data_version) == 64


def test_the_document_and_the_facts_of_the_manifest_keep_their_keys(produced):
    made, out = produced
    keys = [
        *("role", "model", "score", "interval", "interval_method", "items", "by_task"),
        *("rows", "predictions", "unparsable", "truncated", "failed", "unscored"),
        *("max_new_tokens", "prompting", "labels", "bytes_on_disk"),
        *("parameters", "dtype", "device", "versions"),
    ]
    document = json.loads((out / "benchmark.json").read_text())
    assert list(document) == keys
    assert list(document["model"]) == ["name", "revision", "dtype", "parameters"]
    counts, facts = made.parts()
    assert {key: facts[key] for key in keys} == document
    assert counts.keys() == {"rows", "predictions", "unparsable", "truncated", "failed", "unscored"}


def test_a_manifest_gives_the_typed_result_back(produced):
    made = produced[0]
    counts, facts = made.parts()
    facts = {name: fact for name, fact in facts.items() if name not in ("usage", "leased")}  # outside Compute
    stored = json.loads(json.dumps(facts))
    assert Manifest("student_benchmark", None, "f", made.data_version, {}, counts, stored, {}, "v", "now").read(
        BenchmarkResult
    ) == made.model_copy(update={"complete": True})


def test_the_model_is_named_with_its_size_and_precision(produced, model):
    result = produced[0]
    assert result.parameters == model.parameters > 10_000
    assert result.bytes_on_disk > 4 * model.parameters
    assert (result.dtype, result.device) == ("float32", "cpu")
    assert result.versions.keys() == {"python", "torch", "transformers"}


@pytest.mark.parametrize(
    ("text", "finish_reason", "parsed", "score"),
    [
        ("Entailment.", "stop", "entailment", 1.0),
        ("neutral", "stop", "neutral", 0.0),
        ("no idea", "stop", None, 0.0),
        ("entailment", "length", None, 0.0),  # cut off: wrong even if the text is right
        (None, "error", None, 0.0),
    ],
)
def test_only_an_answer_that_the_model_ended_can_be_right(model, tmp_path, text, finish_reason, parsed, score):
    row = ROWS[0]
    answer = Reply("h", text, finish_reason, 10, 2, 1.0)
    spec = spec_of(model, tmp_path)
    judged = judge(spec, row, prompts_of(row)[0], answer)
    assert (judged["parsed"], judged["score"]) == (parsed, score)
    assert judged.keys() == set(schemas.PREDICTION.names)
    assert judge(spec, {**row, "group": "d"}, prompts_of(row)[0], answer)["group"] == "d"


def test_a_conversation_is_one_item_of_its_task():
    rows = [
        {"row_id": "a", "turn": t, "task": "conversation", "parsed": text, "reference": ["x y"], "score": score}
        for t, text, score in [(0, "x y", 1.0), (1, "q", 0.0)]
    ]
    rows += [{"row_id": "b", "turn": 0, "task": "conversation", "parsed": "x y", "reference": ["x y"], "score": 1.0}]
    scored = score_predictions(rows, EVALUATION)
    assert scored.items == 2
    assert scored.score == 0.75
    assert scored.by_task["conversation"].metrics["rouge_l"] == pytest.approx(2 / 3)  # over turns


def test_rows_of_one_group_count_together():
    rows = [
        {
            "row_id": str(i),
            "turn": 0,
            "task": "nli",
            "parsed": "neutral",
            "reference": ["neutral"],
            "score": float(i < 40),
        }
        for i in range(50)
    ]
    alone = score_predictions(rows, EVALUATION)
    grouped = score_predictions([{**row, "group": f"d{int(row['row_id']) // 10}"} for row in rows], EVALUATION)
    assert (alone.interval_method, grouped.interval_method) == ("score", "bootstrap")
    assert grouped.score == alone.score == 0.8
    for found, one in ((grouped, alone), (grouped.by_task["nli"], alone.by_task["nli"])):
        assert found.interval[1] - found.interval[0] > 1.5 * (one.interval[1] - one.interval[0])


def test_rows_that_cannot_be_compared_are_refused_before_the_model_runs(model, tmp_path, monkeypatch):
    monkeypatch.setattr(benchmark, "ask_local", lambda *_: pytest.fail("asked"))
    (tmp_path / "a").mkdir()
    with pytest.raises(DataError, match="none of 1 held-out rows has a reference"):
        run_benchmark(spec_of(model, tmp_path / "a", ROWS[6:7]), "cpu")
    (tmp_path / "b").mkdir()
    with pytest.raises(DataError, match="'n0'"):
        run_benchmark(spec_of(model, tmp_path / "b", [ROWS[0], ROWS[0]]), "cpu")


def test_a_benchmark_is_what_the_report_reads(produced, tmp_path):
    _, out = produced
    parquet.write_table(tmp_path / "raw.parquet", ROWS, schemas.RAW)
    (tmp_path / "history.json").write_text("[]")
    origin = Origin(data_version="0", created_at="2026-01-01T00:00:00+00:00")
    assets = ("teacher_model", "validated_synthetic_set", "student_base", "student_checkpoint", "eval_dataset")
    spec = ReportSpec(
        project="demo",
        benchmarks=dict.fromkeys(("teacher", "baseline", "student"), str(out)),
        history=str(tmp_path / "history.json"),
        rows=str(tmp_path / "raw.parquet"),
        evaluation=EVALUATION,
        provenance=Provenance(name="demo", shards=1, **dict.fromkeys(assets, origin)),
        out=str(tmp_path),
    )
    result = write_report(spec)
    assert result.counts.items == 8
    assert result.verdict == "INCONCLUSIVE"  # a model against itself, on eight items
    document = json.loads((tmp_path / "report.json").read_text())
    assert document["benchmarks"]["baseline"] == json.loads((out / "benchmark.json").read_text())
    assert "1 held-out prompts have no reference" in (tmp_path / "report.md").read_text()
    assert result.headline in (tmp_path / "report.md").read_text()
