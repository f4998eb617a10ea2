"""A student trains to the end, resumes after a kill to the same weights, and publishes nothing if it diverges."""

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from safetensors.torch import load_file, save_file

from distill_dagster.config import ModelConfig, StudentTrainingConfig
from distill_dagster.errors import TrainingError
from distill_dagster.models.loading import open_model, open_tokenizer
from distill_dagster.models.ref import read_ref
from distill_dagster.models.rendering import end_ids
from distill_dagster.progress import listen
from distill_dagster.store import parquet, schemas
from distill_dagster.training.examples import read_examples, tokenize
from distill_dagster.training.signals.forward import computing_loss
from distill_dagster.training.signals.text import TextSignal
from distill_dagster.training.specs import StepLoss, TrainSpec, ValidationLoss
from distill_dagster.training.student import train_student
from testing.logits_tiny import capture, teacher_row
from testing.models_tiny import rows, without_speed, write_examples, write_model

pytestmark = pytest.mark.processes

LINE = re.compile(
    r"train tiny: \d+ of 32, loss [\d.e+-]+, learning rate [\d.]+e[+-]\d+"
    r"(, gradient norm [\d.]+, [\d,]+ tokens/s)?(, validation loss [\d.]+)?, [\dhmins ]+ left"
)

TRAINING = StudentTrainingConfig(
    learning_rate=5e-3, epochs=4, batch_size=8, evaluations=6, max_length=64, early_stopping_patience=None
)


@pytest.fixture
def spec_of(tmp_path):
    """A spec to train a tiny model with dropout, so that the random state matters; its `out` exists."""
    base = write_model(tmp_path / "base", dropping())
    examples = write_examples(tmp_path / "examples.parquet")

    def spec(name, training=TRAINING, **changes):
        out = tmp_path / name
        out.mkdir(exist_ok=True)
        wanted = {
            "student_base": base,
            "teacher": base,
            "task": "nli",
            "training": training,
            "examples": examples,
            "name": "tiny",
            "work": str(tmp_path / "work"),
        }
        return TrainSpec(**{**wanted, "out": str(out), **changes})

    return spec


def dropping():
    settings = {"n_embd": 32, "n_layer": 2, "n_head": 2, "n_positions": 64, "resid_pdrop": 0.2, "embd_pdrop": 0.2}
    return ModelConfig(architecture="gpt2", settings=settings, vocab_size=400)


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


def test_the_same_spec_gives_the_same_weights(spec_of, tmp_path):
    first = train_student(spec_of("one", work=str(tmp_path / "w1")), "cpu")
    assert train_student(spec_of("two", work=str(tmp_path / "w2")), "cpu").data_version == first.data_version


KILLED = """
import os, signal, sys
from pathlib import Path
from distill_dagster.progress import listen
from distill_dagster.training.specs import TrainSpec
from distill_dagster.training.student import train_student

spec = TrainSpec.model_validate_json(sys.argv[1])

def listener(progress):
    if list(Path(spec.work).glob("runs/*/checkpoint-*/complete.json")):
        os.kill(os.getpid(), signal.SIGKILL)

with listen(listener):
    train_student(spec, "cpu")
"""


def imitating(tmp_path, **hidden):
    """The training with the signal `hidden`, and a wider and deeper teacher: {training, teacher} of a spec."""
    settings = {"n_embd": 48, "n_layer": 3, "n_head": 4, "n_positions": 64}
    teacher = write_model(tmp_path / "teacher", ModelConfig(architecture="gpt2", settings=settings, vocab_size=400))
    training = StudentTrainingConfig(**{**TRAINING.model_dump(), "signal": "hidden", "hidden": hidden})
    return {"training": training, "teacher": teacher}


@pytest.mark.parametrize("hidden", [None, {"alpha": 0.2, "distance": "mse", "relations": {"heads": 8}}])
def test_a_killed_training_goes_on_from_its_checkpoint_to_the_same_weights(spec_of, tmp_path, hidden):
    """With `hidden`, the projections and their share of the optimizer are resumed too."""
    given = {} if hidden is None else imitating(tmp_path, **hidden)
    whole = train_student(spec_of("whole", work=str(tmp_path / "whole-work"), **given), "cpu")
    spec = spec_of("killed", **given)
    env = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    child = subprocess.run([sys.executable, "-c", KILLED, spec.model_dump_json()], env=env, check=False)
    assert child.returncode == -signal.SIGKILL
    assert not list(Path(spec.out).iterdir())
    (run,) = Path(spec.work, "runs").iterdir()
    torn = run / "checkpoint-30"
    torn.mkdir()
    (torn / "model.safetensors").write_bytes(b"half")
    resumed = train_student(spec, "cpu")
    assert resumed.resumed_from_step == 6
    assert whole.resumed_from_step == 0
    assert resumed.data_version == whole.data_version
    assert without_speed(resumed.history) == without_speed(whole.history)


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


def test_another_teacher_makes_another_student_and_takes_no_checkpoint_of_the_first(spec_of, tmp_path):
    given = imitating(tmp_path)
    first = train_student(spec_of("one", **given), "cpu")
    other = write_model(tmp_path / "other", dropping().model_copy(update={"seed": 9}))
    second = train_student(spec_of("two", **{**given, "teacher": other}), "cpu")
    assert second.resumed_from_step == 0
    assert second.data_version != first.data_version


def test_other_distributions_of_the_same_answers_take_no_checkpoint_of_the_first(spec_of, tmp_path):
    """The rows, their places and the config are the same."""
    training, versions = StudentTrainingConfig(**{**TRAINING.model_dump(), "signal": "logits"}), []
    for seed in (1, 2):
        folder = tmp_path / f"teacher-{seed}"
        teacher = write_model(folder, dropping().model_copy(update={"seed": seed}))
        answers = [teacher_row(teacher, row["row_id"], row["reference"][0]) for row in rows(64)]
        capture(folder, teacher, rows(64), answers)
        given = {"teacher": teacher, "logits": [str(folder / "logits.parquet")]}
        result = train_student(spec_of(f"student-{seed}", training, **given), "cpu")
        assert result.resumed_from_step == 0
        versions.append(result.data_version)
    assert versions[0] != versions[1]


def test_a_checkpoint_of_another_config_is_not_taken(spec_of, tmp_path):
    train_student(spec_of("one"), "cpu")
    other = TRAINING.model_copy(update={"learning_rate": 4e-3})
    assert train_student(spec_of("two", other), "cpu").resumed_from_step == 0


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
