"""A model is pinned, built, or fitted; each leaves a model.json that loads."""

import json

import pytest

from distill_dagster.config import ModelConfig, StudentTrainingConfig, TrainingConfig
from distill_dagster.errors import ModelError, TrainingError
from distill_dagster.models.decoding import complete
from distill_dagster.models.loading import load
from distill_dagster.models.pinning import folder_revision
from distill_dagster.models.ref import read_ref
from distill_dagster.training.pairing import Pairing
from distill_dagster.training.prepare import prepare_model
from distill_dagster.training.record import ValidationLoss
from distill_dagster.training.specs import PrepareSpec
from testing.models_tiny import TINY, raw_row, rows, write_model, write_rows

FIT = TrainingConfig(learning_rate=1e-2, epochs=12, batch_size=16, evaluations=3, max_length=64)


@pytest.fixture
def prepare(tmp_path):
    """Prepare a model in a new folder from 96 training and 16 validation rows; returns (result, folder)."""
    tables = [write_rows(tmp_path / "t.parquet", rows(96)), write_rows(tmp_path / "v.parquet", rows(16, "validation"))]

    def prepared(name, **changes):
        out = tmp_path / name
        out.mkdir()
        wanted = {"role": "teacher", "rows": tables, "out": str(out), "work": str(tmp_path / f"{name}-work"), **changes}
        return prepare_model(PrepareSpec(**wanted), "cpu"), out

    return prepared


def test_an_existing_model_is_pinned_where_it_is(prepare, tmp_path):
    ref = write_model(tmp_path / "given")
    result, out = prepare("out", model=ModelConfig(name=str(tmp_path / "given")))
    assert sorted(p.name for p in out.iterdir()) == ["faculty.json", "model.json"]
    assert read_ref(out) == ref
    assert result.data_version == ref.revision
    assert result.counts.model_dump() == {"parameters": ref.parameters}


def test_a_new_model_is_the_same_each_time(prepare):
    first, out = prepare("one", model=TINY)
    again, _ = prepare("two", model=TINY)
    assert first == again
    ref = read_ref(out)
    assert ref.path == str(out / "model")
    assert ref.name.startswith("llama-")
    loaded = load(ref, "cpu")
    assert first.counts.model_dump() == {"parameters": ref.parameters, "vocabulary": len(loaded.tokenizer)}


def test_a_student_takes_the_teachers_tokenizer(prepare):
    _, teacher = prepare("teacher", model=TINY)
    model = ModelConfig(architecture="gpt2", settings={"n_embd": 16, "n_layer": 1, "n_head": 2}, tokenizer="teacher")
    _, student = prepare("student", role="student", model=model, tokenizer_of=str(teacher / "model"))
    assert (student / "model" / "tokenizer.json").read_bytes() == (teacher / "model" / "tokenizer.json").read_bytes()


def test_a_fitted_model_answers_and_says_how_it_was_made(prepare):
    result, out = prepare("out", model=TINY, fit=FIT)
    ref = read_ref(out)
    asked = rows(32)
    completions = complete(load(ref, "cpu"), [r["messages"] for r in asked], max_new_tokens=8, batch_tokens=4096)
    right = sum(c.text == row["reference"][0] for c, row in zip(completions, asked, strict=True))
    assert right >= 24, [c.text for c in completions][:8]  # a constant answer has 8
    assert result.data_version == ref.revision == folder_revision(out / "model")
    assert result.counts.train_rows == 96
    assert result.counts.validation_rows == 16
    assert result.counts.no_gold == result.counts.too_long == 0
    assert result.counts.steps == 72
    validation = [point.validation_loss for point in result.fit.history if isinstance(point, ValidationLoss)]
    assert result.fit.best_validation_loss == min(validation)
    assert json.loads((out / "history.json").read_text())[0]["step"] == 1


def test_an_existing_model_is_fitted_from_its_weights(prepare, tmp_path):
    ref = write_model(tmp_path / "given")
    result, out = prepare(
        "out", model=ModelConfig(name=str(tmp_path / "given")), fit=FIT.model_copy(update={"epochs": 1})
    )
    assert result.base_revision == ref.revision != read_ref(out).revision
    assert (out / "model" / "chat_template.jinja").is_file()


def test_fitting_without_gold_answers_is_an_error(prepare, tmp_path):
    path = write_rows(tmp_path / "plain.parquet", [raw_row("a", [{"role": "user", "content": "Q"}], [])])
    with pytest.raises(TrainingError, match="0 of 1 prompts are for training and have a gold answer"):
        prepare("out", model=TINY, fit=FIT, rows=[path])


def test_a_student_with_another_tokenizer_is_refused_before_the_teacher_is_asked(prepare, tmp_path):
    write_model(tmp_path / "teacher")
    write_model(tmp_path / "own")
    write_model(tmp_path / "other", TINY.model_copy(update={"vocab_size": 330}))
    teacher, own, other = (ModelConfig(name=str(tmp_path / name)) for name in ("teacher", "own", "other"))

    def paired(student):
        return Pairing(teacher=teacher, student=student, training=StudentTrainingConfig(signal="on_policy"))

    with pytest.raises(ModelError, match=r"`student.training.signal: on_policy`: .* to the teacher's tokenizer and \["):
        prepare("refused", model=teacher, pairing=paired(other))
    prepare("text", model=teacher, pairing=Pairing(teacher=teacher, student=other))
    prepare("same", model=teacher, pairing=paired(own))
