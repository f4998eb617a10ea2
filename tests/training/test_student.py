"""A student trains to the end and is written with its history; a training that diverges publishes nothing."""

import json
import re
from pathlib import Path

import pytest
from safetensors.torch import load_file, save_file

from distill_dagster.errors import TrainingError
from distill_dagster.models.loading import open_model, open_tokenizer
from distill_dagster.models.ref import read_ref
from distill_dagster.models.rendering import end_ids
from distill_dagster.progress import listen
from distill_dagster.store import parquet, schemas
from distill_dagster.training.examples import read_examples, tokenize
from distill_dagster.training.record import StepLoss, ValidationLoss
from distill_dagster.training.signals.forward import computing_loss
from distill_dagster.training.signals.text import TextSignal
from distill_dagster.training.student import train_student
from testing.models_tiny import write_examples, write_model
from testing.tiny_training import TRAINING, dropping, imitating

pytestmark = pytest.mark.processes
LINE = re.compile(
    r"train tiny: \d+ of 32, loss [\d.e+-]+, learning rate [\d.]+e[+-]\d+"
    r"(, gradient norm [\d.]+, [\d,]+ tokens/s)?(, validation loss [\d.]+)?, [\dhmins ]+ left"
)


def test_a_student_is_written_with_its_history_and_counts(spec_of):
    heard, lines = [], []
    with listen(lambda progress: (heard.append(progress), lines.append(str(progress)))):
        result = train_student(spec_of("out"), "cpu")
    out = Path(spec_of("out").out)
    assert {"model.safetensors", "tokenizer.json", "generation_config.json", "chat_template.jinja"} <= {
        p.name for p in (out / "model").iterdir()
    }
    assert read_ref(out).revision == result.data_version
    assert result.counts.steps == 32
    assert result.counts.train_rows == 64
    history = json.loads((out / "history.json").read_text())
    losses = [point["validation_loss"] for point in history if "validation_loss" in point]
    assert len(losses) == 6
    assert losses[-1] < losses[0]
    assert result.best_validation_loss == min(losses)
    assert (heard[-1].label, heard[-1].done, heard[-1].total) == ("train tiny", 32, 32)
    assert all(LINE.fullmatch(line) for line in lines[:-1]), lines
    assert all("tokens/s" in line for line in lines[1:])
    last = r"train tiny: 32 of 32, loss .*, gradient norm .* tokens/s, validation loss .*, took [\dhmins ]+"
    assert re.fullmatch(last, lines[-1])
    assert json.loads((out / "model" / "config.json").read_text())["use_cache"] is True


def test_the_losses_of_the_lines_are_those_of_the_history(spec_of):
    lines = []
    with listen(lambda progress: lines.append(str(progress))):
        result = train_student(spec_of("out"), "cpu")
    told = {int(line.split(" of ")[0].split()[-1]): line for line in lines[:-1]}
    steps = [point for point in result.history if isinstance(point, StepLoss)]
    assert len(steps) == len(told), "each step of this training is logged"
    for point in steps:
        loss, rate = re.search(r", loss (\S+), learning rate (\S+?),", told[point.step]).groups()
        assert float(loss) == pytest.approx(point.loss, rel=1e-3)
        assert float(rate) == pytest.approx(point.learning_rate, rel=1e-2, abs=1e-12)


def test_nothing_is_printed(spec_of, capfd):
    train_student(spec_of("out"), "cpu")
    assert capfd.readouterr() == ("", "")


def test_a_student_that_imitates_is_an_ordinary_model_that_names_its_objective(spec_of, tmp_path):
    result = train_student(spec_of("out", **imitating(tmp_path, relations={"heads": 8})), "cpu")
    out = Path(spec_of("out").out)
    base, own = (set(load_file(folder / "model.safetensors")) for folder in (tmp_path / "base", out / "model"))
    assert own == base
    loss = (
        "0.5 * CE + 0.5 * (cosine of hidden states (student:teacher 1:2, 2:3) "
        "+ KL of Q-Q, K-K, V-V relations in 8 heads (student:teacher 2:3))"
    )
    assert result.training["loss"] == loss
    assert result.training["hidden"]["layers"] == [[1, 2], [2, 3]]
    assert loss in (out / "model" / "README.md").read_text().replace("\\", "")
    losses = [p.validation_loss for p in result.history if isinstance(p, ValidationLoss)]
    assert losses[-1] < losses[0]


def test_a_diverging_training_is_an_error_and_writes_nothing(spec_of):
    spec = spec_of(
        "out",
        TRAINING.model_copy(update={"learning_rate": 0.1, "max_grad_norm": 1e30}),
        student_base=exploding(spec_of),
    )
    with pytest.raises(TrainingError, match=r"loss is nan at step .* lower `learning_rate`"):
        train_student(spec, "cpu")
    assert not list(Path(spec.out).iterdir())


def exploding(spec_of):
    """A model to start from with a weight so large that the loss overflows."""
    ref = spec_of("unused").student_base
    path = Path(ref.path) / "model.safetensors"
    weights = load_file(path)
    weights["transformer.h.0.mlp.c_fc.weight"] *= 1e38
    save_file(weights, path, metadata={"format": "pt"})
    return ref


def test_early_stopping_keeps_the_best_weights(spec_of, tmp_path):
    hurried = TRAINING.model_copy(
        update={"learning_rate": 3e-2, "epochs": 40, "evaluations": 40, "early_stopping_patience": 2}
    )
    spec, lines = spec_of("out", hurried), []
    with listen(lambda progress: lines.append(str(progress))):
        result = train_student(spec, "cpu")
    losses = [p.validation_loss for p in result.history if isinstance(p, ValidationLoss)]
    assert result.counts.steps < 320
    assert losses.index(min(losses)) == len(losses) - 3
    assert result.best_validation_loss == min(losses)
    assert validation_loss(spec) == pytest.approx(min(losses), rel=1e-5)
    assert losses[-1] > 1.001 * min(losses)  # so that the last weights would not do
    assert result.kept == "best"
    assert (result.stopped.step, result.stopped.planned) == (result.counts.steps, 320)
    assert (result.stopped.validation_loss, result.stopped.best_validation_loss) == (losses[-1], min(losses))
    assert result.stopped.words in lines[-1]
    assert f"| stopped early | {result.stopped.words} |" in (Path(spec.out) / "model" / "README.md").read_text()


def test_a_training_that_overfits_stops_and_says_so(spec_of, tmp_path):
    """The validation rows have other answers, so what the training learns by heart is wrong for them."""
    path = Path(write_examples(tmp_path / "misleading.parquet"))
    table = parquet.read_table(path)
    answers = [row["answer"] for row in table if row["split"] == "validation"]
    for row, answer in zip(
        [row for row in table if row["split"] == "validation"], answers[1:] + answers[:1], strict=True
    ):
        row["answer"] = answer
    parquet.write_table(path, table, schemas.EXAMPLE)
    often = {"learning_rate": 1e-2, "epochs": 20, "evaluations": 40, "early_stopping_patience": 2}
    base = write_model(tmp_path / "plain")
    result = train_student(
        spec_of("out", TRAINING.model_copy(update=often), examples=str(path), student_base=base), "cpu"
    )
    assert result.counts.steps < 160
    assert result.stopped.reason == "overfitting"
    assert result.stopped.kept_step == result.stopped.best_step < result.stopped.step


def validation_loss(spec) -> float:
    """The mean loss of the validation answers' tokens under the weights that were published."""
    import torch

    folder = Path(spec.out) / "model"
    model, tokenizer = open_model(folder, "float32"), open_tokenizer(folder)
    examples = read_examples(Path(spec.examples), Path(spec.work) / "datasets")
    data = tokenize(examples, tokenizer, end_ids(tokenizer, model.generation_config), spec.training.max_length)
    signal = TextSignal(tokenizer.pad_token_id)
    batch = signal.collate(list(data.validation))
    with torch.no_grad(), computing_loss(model.eval()):
        return float(signal.loss(model, batch, batch["weight"]))


def test_without_validation_rows_the_last_weights_are_kept_and_it_says_so(spec_of, tmp_path):
    examples = write_examples(tmp_path / "no-validation.parquet", validation=0)
    result = train_student(spec_of("out", examples=examples), "cpu")
    assert result.best_validation_loss is None
    assert result.kept == "last"


def test_accumulated_batches_give_the_step_of_one_large_batch(spec_of, tmp_path):
    """Without dropout, and with one epoch in one step: two halves are the whole, weighted by their tokens."""
    base = write_model(tmp_path / "plain")
    whole = TRAINING.model_copy(update={"epochs": 1, "batch_size": 64, "evaluations": 1})
    halves = whole.model_copy(update={"batch_size": 32, "gradient_accumulation": 2})
    seen = []
    for name, training in (("whole", whole), ("halves", halves)):
        result = train_student(spec_of(name, training, student_base=base), "cpu")
        assert result.counts.steps == 1
        seen.append([p.loss if isinstance(p, StepLoss) else p.validation_loss for p in result.history])
    assert len(seen[0]) == 2
    assert seen[0] == pytest.approx(seen[1], rel=1e-4)


def test_rows_beyond_the_learned_positions_are_refused_and_the_others_train(spec_of, tmp_path):
    rows_of = dropping()
    base = write_model(
        tmp_path / "short", rows_of.model_copy(update={"settings": {**rows_of.settings, "n_positions": 15}})
    )
    result = train_student(spec_of("out", student_base=base), "cpu")
    counts = result.counts
    assert counts.too_long > 0
    assert counts.train_rows > 0
    assert counts.train_rows + counts.validation_rows + counts.too_long == 64 + 16
