"""Trials are trainings of the student: pruned early, resumed after a kill, and never given a held-out row."""

import os
import signal
import subprocess
import sys
from functools import partial
from pathlib import Path

import dagster as dg
import pytest

from distill_dagster.config import ModelConfig, Need
from distill_dagster.errors import TrainingError
from distill_dagster.models.ref import read_ref
from distill_dagster.resources.compute import Compute
from distill_dagster.resources.gpu import GpuPool
from distill_dagster.store import files
from distill_dagster.training.record import ValidationLoss
from distill_dagster.training.rounds import HISTORY
from distill_dagster.training.student import train_student
from distill_dagster.tuning.specs import TrialSpec
from distill_dagster.tuning.study import open_study
from distill_dagster.tuning.sweep import run_sweep
from distill_dagster.tuning.table import read_trials
from distill_dagster.workers import run_worker
from testing.models_tiny import LLAMA, without_speed, write_examples, write_model
from testing.sweeps import TRAINING, Worker, sweep_of, sweep_spec

pytestmark = pytest.mark.processes


@pytest.fixture
def spec_of(tmp_path):
    """The spec of a sweep over a tiny student, in a folder of its own."""
    base, examples = write_model(tmp_path / "base"), write_examples(tmp_path / "examples.parquet")
    return lambda name, sweep: sweep_spec(tmp_path / name, sweep, base, examples)


@pytest.fixture
def trial_of(spec_of):
    """The second trial of a study in which the first one is complete, with this loss at each evaluation."""

    def trial(loss: float, **changes) -> TrialSpec:
        sweep = sweep_of(pruner={"startup_trials": 1, "warmup": 0})
        spec = spec_of("sweep", sweep)
        run_sweep(spec_of("sweep", sweep_of(trials=1)), Worker(lambda _: [loss] * 4))
        out = Path(spec.work, "student")
        out.mkdir()
        path = Path(spec.work, files.STUDY_FILE)
        with open_study(path, sweep) as study:
            number = study.begin()
        train = spec.train.model_copy(update={"trial": number, "out": str(out), **changes})
        return TrialSpec(train=train, study=str(path), sweep=sweep, number=number)

    return trial


def test_a_poor_trial_is_stopped_at_its_first_evaluation_and_writes_nothing(trial_of):
    spec = trial_of(loss=0.01)
    result = run_worker("train_trial", spec)
    assert (result.outcome, result.student) == ("pruned", None)
    assert result.counts.steps == 4, "16 steps have 4 evaluations"
    assert list(Path(spec.train.out).iterdir()) == []
    with open_study(Path(spec.study), spec.sweep) as study:
        assert len(study.trials[1].intermediate_values) == 1


def test_a_good_trial_is_the_training_that_it_would_be_alone(trial_of, tmp_path):
    spec = trial_of(loss=99.0)
    result = run_worker("train_trial", spec)
    alone = spec.train.model_copy(update={"out": str(tmp_path / "alone"), "work": str(tmp_path / "alone-work")})
    Path(alone.out).mkdir()
    assert result.student.data_version == train_student(alone, "cpu").data_version
    assert read_ref(Path(spec.train.out)).revision == result.student.data_version
    losses = [point.validation_loss for point in result.student.history if isinstance(point, ValidationLoss)]
    with open_study(Path(spec.study), spec.sweep) as study:
        assert study.trials[1].intermediate_values == dict(enumerate(losses, start=1))


def test_a_trial_diverges_where_a_training_would_fail(trial_of):
    above_the_bounds = TRAINING.model_copy(update={"learning_rate": 1e9})
    result = run_worker("train_trial", trial_of(99.0, training=above_the_bounds))
    assert (result.outcome, result.student) == ("diverged", None)
    assert "training has diverged" in result.why


def test_trials_without_a_validation_row_are_refused(trial_of, tmp_path):
    examples = write_examples(tmp_path / "few.parquet", validation=0)
    with pytest.raises(TrainingError, match="0 validation rows can be read"):
        run_worker("train_trial", trial_of(99.0, examples=examples))


SWEEP = """
import os, signal, sys
from pathlib import Path
from distill_dagster.progress import listen
from distill_dagster.tuning.specs import SweepSpec
from distill_dagster.tuning.sweep import run_sweep
from distill_dagster.workers import run_worker

spec, killed = SweepSpec.model_validate_json(sys.argv[1]), sys.argv[2]
begun = {}

def listener(progress):
    begun.setdefault(progress.label, progress.done)
    is_saved = list(Path(spec.work).glob("training/runs/*/checkpoint-*/complete.json"))
    if progress.label == killed and begun[killed] < 5 < progress.done and is_saved:
        os.kill(os.getpid(), signal.SIGKILL)

with listen(listener):
    run_sweep(spec, lambda trial: run_worker("train_trial", trial))
for label, done in begun.items():
    print(label, done, sep=": ")
"""


def run_in_child(spec, killed: str = "") -> subprocess.CompletedProcess:
    env = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    arguments = [sys.executable, "-c", SWEEP, spec.model_dump_json(), killed]
    return subprocess.run(arguments, env=env, check=False, capture_output=True, text=True)


def told(spec) -> list:
    trials = read_trials(Path(spec.out, files.TRIALS_FILE))
    return [trial.model_dump(exclude={"seconds", "gpu_seconds"}) for trial in trials]


def test_a_sweep_that_is_killed_in_a_trial_goes_on_with_it_and_ends_with_the_same_student(spec_of):
    sweep = sweep_of(trials=5, startup_trials=3, pruner={"startup_trials": 3, "warmup": 0})
    whole, broken = spec_of("whole", sweep), spec_of("broken", sweep)
    run_sweep(whole, lambda trial: run_worker("train_trial", trial))
    assert run_in_child(broken, killed="train tiny, trial 2").returncode == -signal.SIGKILL
    assert list(Path(broken.out).iterdir()) == []
    resumed = run_in_child(broken)
    assert resumed.returncode == 0, resumed.stderr
    begun = dict(line.split(": ") for line in resumed.stdout.splitlines())
    assert [*begun] == [f"train tiny, trial {number}" for number in (2, 3, 4)], "no trial that ended runs again"
    assert int(begun["train tiny, trial 2"]) > 0, "the killed one goes on from its checkpoint"
    assert told(broken) == told(whole)
    assert read_ref(Path(broken.out)).revision == read_ref(Path(whole.out)).revision
    assert _history(broken) == _history(whole)


def _history(sweep) -> list[dict]:
    """The published history without its speed."""
    return without_speed(HISTORY.validate_json(Path(sweep.out, files.HISTORY_FILE).read_text()))


def test_each_trial_is_a_child_process_where_the_backend_says_so(spec_of):
    """Its losses reach the study, and its result the sweep, from another process."""
    spec, results = spec_of("sweep", sweep_of(trials=2, pruner=None)), []

    @dg.asset
    def student_sweep(context: dg.AssetExecutionContext, compute: Compute) -> dg.MaterializeResult:
        results.append(run_sweep(spec, partial(compute.run, context, "train_trial"), context.log.info))
        return dg.MaterializeResult()

    compute = Compute.of(Need(gpus=1, cpu=True), GpuPool(devices=[]), "subprocess")
    with dg.DagsterInstance.ephemeral() as instance:
        run = dg.materialize([student_sweep], resources={"compute": compute}, instance=instance)
        log = [event.message for event in instance.all_logs(run.run_id)]
    (result,) = results
    assert result.counts.complete == 2
    assert [len(trial.losses) for trial in result.trials] == [4, 4]
    assert read_ref(Path(spec.out)).revision == result.student.data_version
    assert sum("train_trial runs subprocess on the CPU" in line for line in log) == 2
    assert any(line.startswith("trial 1 (2 of 2): complete, validation loss") for line in log)


def test_losses_are_reported_under_the_share_of_the_training(trial_of):
    """Three steps of eight evaluations are validated at each step."""
    training = TRAINING.model_copy(update={"epochs": 3, "batch_size": 64, "evaluations": 8})
    spec = trial_of(99.0, training=training)
    assert run_worker("train_trial", spec).counts.steps == 3
    with open_study(Path(spec.study), spec.sweep) as study:
        assert list(study.trials[1].intermediate_values) == [2, 5, 8]


@pytest.mark.parametrize(
    ("training", "space", "trained_with"),
    [
        (
            {"signal": "hidden"},
            {"hidden": {"layers": [[[1, 2], [2, 3]], [[2, 3]]]}},
            lambda settings: settings["hidden"]["layers"],
        ),
        ({"lora": {"rank": 8}}, {"lora": {"rank": {"low": 1, "high": 4}}}, lambda settings: settings["lora"]["rank"]),
    ],
)
def test_fields_of_sections_are_searched_too(spec_of, tmp_path, training, space, trained_with):
    settings = {**LLAMA, "num_hidden_layers": 3, "max_position_embeddings": 128}
    teacher = write_model(tmp_path / "teacher", ModelConfig(architecture="llama", settings=settings, vocab_size=400))
    spec = spec_of("sweep", sweep_of(trials=2, space=space, pruner=None))
    own = {"training": TRAINING.model_validate({**TRAINING.model_dump(), "epochs": 1, **training}), "teacher": teacher}
    result = run_sweep(
        spec.model_copy(update={"train": spec.train.model_copy(update=own)}),
        lambda trial: run_worker("train_trial", trial),
    )
    assert trained_with(result.student.training) in result.point.values()
    assert (Path(spec.out) / files.ADAPTER_FOLDER).is_dir() == ("lora" in training)
