"""The study of a sweep is a file from which any process goes on: the same points, the same losses, the same pruning."""

import sys

import optuna
import pytest

from distill_dagster.config import SweepConfig
from distill_dagster.errors import TrainingError
from distill_dagster.tuning.specs import Trial
from distill_dagster.tuning.study import NAME, open_study
from distill_dagster.tuning.sweep import run_sweep
from testing.sweeps import SPACE, Worker, sweep_of, sweep_spec

LAYERS = {"hidden": {"layers": [[[1, 2]], [[1, 1], [2, 2]]]}}


def trials_of(folder, sweep: SweepConfig, worker: Worker) -> list[Trial]:
    """The trials of a whole sweep, in the order of their numbers."""
    return sorted(run_sweep(sweep_spec(folder, sweep), worker).trials, key=lambda trial: trial.number)


def reported(folder, sweep: SweepConfig, losses) -> list[list[float]]:
    """What each trial of a sweep reported before it was pruned, of the losses that it would have had."""
    given = iter(losses)
    return [trial.losses for trial in trials_of(folder, sweep, Worker(lambda _: next(given)))]


def test_a_running_trial_is_the_next_one_with_its_point(tmp_path):
    path = tmp_path / "study.db"
    with open_study(path, sweep_of()) as study:
        assert (study.begin(), study.begin()) == (0, 0)
        point = study.point(0)
    with open_study(path, sweep_of()) as study:
        assert study.begin() == 0
        assert study.point(0) == point
        assert study.ended() == []


@pytest.mark.slow
@pytest.mark.parametrize("sampler", ["tpe", "random"])
def test_points_depend_on_the_seed_and_on_what_ended_and_on_nothing_else(tmp_path, sampler):
    def points(name: str, **changes):
        sweep = sweep_of(sampler=sampler, trials=5, startup_trials=2, pruner=None, **changes)
        worker = Worker(lambda training: [abs(training.learning_rate - 1e-3)])
        return [trial.point for trial in trials_of(tmp_path / name, sweep, worker)]

    first = points("first")
    assert points("again") == first
    assert points("other", seed=1) != first
    assert len({tuple(point.values()) for point in first}) == 5


def test_choices_of_lists_come_back_as_they_are_in_the_config(tmp_path):
    sweep = sweep_of(space=LAYERS)
    with open_study(tmp_path / "study.db", sweep) as study:
        study.begin()
        assert study.point(0)["hidden.layers"] in LAYERS["hidden"]["layers"]


def test_a_trial_above_the_median_is_pruned_and_the_first_ones_are_not(tmp_path):
    sweep = sweep_of(trials=4, pruner={"startup_trials": 2, "warmup": 1})
    assert reported(tmp_path, sweep, [[9, 8, 7], [5, 4, 3], [9, 9, 9], [4, 3, 2]]) == [
        *([9, 8, 7], [5, 4, 3]),
        [9, 9],  # 9 is above 6 at evaluation 2; evaluation 1 is the warm-up
        [4, 3, 2],
    ]


def test_halving_lets_the_better_half_go_on(tmp_path):
    sweep = sweep_of(trials=3, pruner={"kind": "successive_halving"})
    assert reported(tmp_path, sweep, [[5, 4, 3], [6, 5, 4], [4, 3, 2]]) == [[5, 4, 3], [6], [4, 3, 2]]


def test_without_a_pruner_every_trial_ends(tmp_path):
    losses = [[5, 4], [9, 9], [7, 7]]
    assert reported(tmp_path, sweep_of(trials=3, pruner=None), losses) == losses


def test_a_loss_that_is_reported_again_keeps_its_first_value(tmp_path):
    with open_study(tmp_path / "study.db", sweep_of()) as study:
        study.begin()
        study.report(0, 1, 3.0)
        study.report(0, 1, 3.5)
        assert study.trials[0].intermediate_values == {1: 3.0}


def test_optuna_reads_the_file_wherever_it_is(tmp_path):
    folder = tmp_path / "50 %? of #1"
    folder.mkdir()
    with open_study(folder / "study.db", sweep_of()) as study:
        study.begin()
    assert [path.name for path in folder.iterdir()] == ["study.db"]
    (folder / "study.db").rename(tmp_path / "study.db")
    study = optuna.load_study(study_name=NAME, storage=f"sqlite:///{tmp_path}/study.db")
    assert study.trials[0].params.keys() == SPACE.keys()


def test_a_missing_optuna_is_named_with_its_extra(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(TrainingError, match=r"install `distill-dagster\[tuning\]`"):
        open_study(tmp_path / "study.db", sweep_of()).__enter__()
