"""A sweep keeps the student of its best trial, counts every other one, and trains no point twice."""

from pathlib import Path

import pytest

from distill_dagster.errors import TrainingError
from distill_dagster.store import files
from distill_dagster.tuning.sweep import run_sweep
from distill_dagster.tuning.table import best_of, by_loss, read_trials
from testing.sweeps import Worker, sweep_of, sweep_spec

pytestmark = pytest.mark.slow


def loss_of(training) -> list[float]:
    """Losses at four evaluations, the lower the nearer the learning rate is to 0.001."""
    far = abs(training.learning_rate - 1e-3) / 1e-3 + training.batch_size / 100
    return [far + 1 / (i + 1) for i in range(4)]


def told(result) -> list:
    return [trial.model_dump(exclude={"seconds", "gpu_seconds"}) for trial in result.trials]


def test_the_best_trials_student_is_written_with_the_table_and_the_study(tmp_path):
    lines = list[str]()
    spec, worker = sweep_spec(tmp_path, sweep_of()), Worker(loss_of)
    result = run_sweep(spec, worker, lines.append)
    out = Path(spec.out)
    trials = read_trials(out / files.TRIALS_FILE)
    assert [trial.number for trial in trials] == worker.ran == [*range(6)]
    assert result.trials == by_loss(trials)
    best = best_of(trials)
    assert (result.best, result.point) == (best.number, best.point)
    assert (out / files.MODEL_FILE).read_text() == f"student of trial {best.number}"
    assert {path.name for path in out.iterdir()} == {files.MODEL_FILE, files.STUDY_FILE, files.TRIALS_FILE}
    assert result.student.data_version == f"weights of {best.number}"
    assert best.validation_loss == min(loss_of(spec.train.training.model_copy(update=best.point)))
    assert [path.name for path in Path(spec.work, "students").iterdir()] == [str(best.number)]
    counts = result.counts
    assert counts.trials == counts.complete + counts.pruned == 6
    assert counts.pruned
    assert counts.steps == sum(10 * len(trial.losses) for trial in trials)
    assert (result.usage.seconds, result.usage.device) == (12.0, "cpu")
    assert lines[-1].startswith("trial 5 (6 of 6): ")
    assert lines[-1].endswith(f"best so far: trial {best.number} with {best.validation_loss:.4g}")


def test_the_loss_is_that_of_the_weights_that_are_kept(tmp_path):
    def last_is_worst(_):
        return [1.0, 2.0]

    kept = {}
    for keep in ("best", "last"):
        spec = sweep_spec(tmp_path / keep, sweep_of(trials=1))
        train = spec.train.model_copy(update={"training": spec.train.training.model_copy(update={"keep": keep})})
        (trial,) = run_sweep(spec.model_copy(update={"train": train}), Worker(last_is_worst)).trials
        kept[keep] = trial.validation_loss
    assert kept == {"best": 1.0, "last": 2.0}


def test_a_point_that_is_drawn_again_is_not_trained_again(tmp_path):
    worker = Worker(lambda training: [9.0] if training.batch_size == 16 else [1.0, 0.5])
    spec = sweep_spec(tmp_path, sweep_of(trials=5, space={"batch_size": [8, 16]}))
    result = run_sweep(spec, worker)
    assert len(worker.ran) == 2
    assert (result.counts.trials, result.counts.repeated) == (5, 3)
    trials = read_trials(Path(spec.out) / files.TRIALS_FILE)
    first = {trial.point["batch_size"]: trial for trial in reversed(trials)}
    for trial in trials:
        one = first[trial.point["batch_size"]]
        assert (trial.outcome, trial.validation_loss, trial.losses) == (one.outcome, one.validation_loss, one.losses)
        assert (trial.same_as, trial.steps, trial.seconds) == (
            (None, one.steps, 2.0) if trial is one else (one.number, 0, 0.0)
        )


def test_a_trial_that_diverges_is_counted_and_the_others_go_on(tmp_path):
    worker = Worker(lambda training: [3.0, None] if training.batch_size == 16 else loss_of(training))
    result = run_sweep(sweep_spec(tmp_path, sweep_of(trials=4, pruner=None)), worker)
    diverged = [trial for trial in result.trials if trial.outcome == "diverged"]
    assert {trial.point["batch_size"] for trial in diverged} == {16}
    assert {(trial.validation_loss, trial.why, *trial.losses) for trial in diverged} == {(None, "the loss is nan", 3.0)}
    assert (result.counts.diverged, result.counts.complete) == (len(diverged), 4 - len(diverged))
    assert worker.ran == [0, 1, 2, 3]


def test_if_every_trial_diverges_nothing_is_written_and_no_trial_is_run_again(tmp_path):
    spec, worker = sweep_spec(tmp_path, sweep_of(trials=2)), Worker(lambda _: [None])
    for _ in range(2):
        with pytest.raises(
            TrainingError, match=r"all 2 trials of the sweep diverged, the first at learning_rate .*nan"
        ):
            run_sweep(spec, worker)
    assert worker.ran == [0, 1]
    assert list(Path(spec.out).iterdir()) == []


def test_a_sweep_that_stops_anywhere_ends_as_one_that_did_not(tmp_path):
    """It stops while a trial runs, and between the end of a trial's worker and its record."""
    whole = run_sweep(sweep_spec(tmp_path / "whole", sweep_of(pruner=None)), Worker(loss_of))
    spec, worker = sweep_spec(tmp_path / "broken", sweep_of(pruner=None)), Worker(loss_of)

    class Killed(Exception):
        pass

    def before_the_record(trial):
        result = worker(trial)
        if trial.number == 3 and worker.ran.count(3) == 1:
            raise Killed
        return result

    def while_it_runs(trial):
        if trial.number == 1:
            Path(trial.train.out, "half").write_text("a student")
            raise Killed
        return worker(trial)

    for run_trial in (while_it_runs, before_the_record):
        with pytest.raises(Killed):
            run_sweep(spec, run_trial)
    result = run_sweep(spec, worker)
    assert worker.ran == [0, 1, 2, 3, 3, 4, 5]
    assert told(result) == told(whole)
    assert result.data_version == whole.data_version


def test_more_trials_continue_the_published_study(tmp_path):
    whole = run_sweep(sweep_spec(tmp_path / "whole", sweep_of()), Worker(loss_of))
    short = sweep_spec(tmp_path / "short", sweep_of(trials=3))
    first = run_sweep(short, Worker(loss_of))
    worker = Worker(loss_of)
    grown = sweep_spec(tmp_path / "grown", sweep_of(), earlier=short.out)
    result = run_sweep(grown, worker)
    assert worker.ran == [3, 4, 5]
    assert told(result) == told(whole)
    assert Path(grown.out, files.MODEL_FILE).read_text() == f"student of trial {result.best}"
    assert len(read_trials(Path(short.out, files.TRIALS_FILE))) == 3
    assert first.data_version != result.data_version


def test_a_student_that_is_not_beaten_survives_more_trials(tmp_path):
    short = sweep_spec(tmp_path / "short", sweep_of(trials=2))
    run_sweep(short, Worker(lambda _: [0.1]))
    grown = sweep_spec(tmp_path / "grown", sweep_of(trials=4), earlier=short.out)
    result = run_sweep(grown, Worker(lambda _: [5.0]))
    assert result.best == 0
    assert Path(grown.out, files.MODEL_FILE).read_text() == "student of trial 0"
