"""Other held-out rows: the released student and the first one answer them again, as their own benchmark would have."""

from pathlib import Path

import pytest

from distill_dagster.config import EvaluationConfig
from distill_dagster.evaluation.asking import ask_local
from distill_dagster.evaluation.benchmark import asked_of, run_benchmark
from distill_dagster.evaluation.specs import BenchmarkSpec
from distill_dagster.models.building import build, train_tokenizer, write_model
from distill_dagster.models.ref import read_ref
from distill_dagster.release.releasing import release_student
from distill_dagster.release.scores import by_item, items_of
from distill_dagster.store import files, parquet
from testing.models_tiny import TINY, rows, write_rows
from testing.releases import Students, named

EVALUATION = EvaluationConfig(latency_requests=2, resamples=200, batch_tokens=4096)
OLD, NEW = "old", "new"


def checkpoint(folder: Path, seed: int) -> Path:
    """A student_checkpoint of random weights whose answers end after some tokens, since many tokens end them."""
    tokenizer = train_tokenizer([m["content"] for row in rows(32) for m in row["messages"]], TINY.vocab_size)
    model = build(TINY.model_copy(update={"seed": seed}), tokenizer)
    model.generation_config.eos_token_id = list(range(0, TINY.vocab_size, 4))
    folder.mkdir(parents=True, exist_ok=True)
    write_model(model, tokenizer, folder, name=folder.name, dtype="auto")
    return folder


def asks(folder: Path, student: Path, table: list[dict]) -> BenchmarkSpec:
    """The benchmark of a student on these rows."""
    out = folder / "out" / student.name
    out.mkdir(parents=True, exist_ok=True)
    path = write_rows(folder / "raw.parquet", table)
    return BenchmarkSpec(
        role="student",
        model=read_ref(student),
        rows=path,
        max_new_tokens=16,
        evaluation=EVALUATION,
        responses="",
        out=str(out),
    )


def with_own_answers(spec: BenchmarkSpec, table: list[dict]) -> list[dict]:
    """The rows with the student's own answers as gold on every other row that it answers."""
    prompts = [prompt for _, prompt in asked_of(spec, table)]
    replies = ask_local(spec, "cpu", prompts, lambda _: None)
    return [
        {**row, "reference": [reply.text]} if number % 2 and (reply.text or "").strip() else row
        for number, (row, reply) in enumerate(zip(table, replies, strict=True))
    ]


@pytest.mark.processes
def test_other_rows_are_answered_again_with_the_scores_of_the_students_own_benchmark(tmp_path):
    students, predictions = Students(tmp_path), {}
    own = {name: checkpoint(tmp_path / "checkpoints" / name, seed) for name, seed in (("a", 3), ("b", 4))}
    students.judge("a", wrong=50, rows=OLD)
    students.judge("b", wrong=20, rows=OLD)
    table = with_own_answers(asks(tmp_path, own["a"], rows(20)), rows(20))
    table += with_own_answers(asks(tmp_path, own["b"], rows(32)[20:]), rows(32)[20:])
    for name, student in own.items():
        spec = asks(tmp_path, student, table)
        run_benchmark(spec, "cpu")
        predictions[name] = Path(spec.out) / files.PREDICTIONS_FILE

    def make(out: Path, work: Path):
        spec = students.spec("c", out, rows=NEW)
        assert spec.unscored == [named("b"), named("a")]
        assert spec.needs_device
        measured = {"asks": asks(tmp_path, own["a"], table), "predictions": str(predictions["a"])}
        return release_student(spec.model_copy(update=measured), "cpu")

    students.store.publish("released_student", None, fingerprint="f" * 12, inputs={}, make=make)
    scored = students.register.scored
    for name in own:
        assert by_item(scored[named(name)]) == by_item(items_of(parquet.read_table(predictions[name])))
    totals = [sum(by_item(scored[named(name)]).values()) for name in own]
    assert min(totals) > 0
    assert totals[0] != totals[1]
    assert (students.register.state.test, students.register.looks(NEW), students.register.looks(OLD)) == (NEW, 1, 2)


def test_no_device_is_leased_where_nothing_is_asked_again(tmp_path):
    students = Students(tmp_path)
    students.judge("a", wrong=50)
    assert not students.spec("b", tmp_path).needs_device
    assert students.spec("b", tmp_path, rows=NEW).unscored == [named("a")]


def test_a_student_that_waits_is_not_released_by_scores_on_other_rows(tmp_path):
    students = Students(tmp_path, approve="manual")
    students.judge("a", wrong=50, rows=OLD)
    students.judge("b", wrong=50, rows=NEW)
    assert students.outcomes == ["waiting a", "refused a", "waiting b"]
    assert "the held-out rows, or how students are measured, changed" in students.register.decisions[1].why
