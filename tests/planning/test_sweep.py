"""What `plan` says of a sweep: trials, the steps of the shortest and the longest training, time."""

import json

import pytest
from typer.testing import CliRunner

from distill_dagster.cli import app
from distill_dagster.config.reading import load_config
from distill_dagster.lineage.project import Project
from distill_dagster.lineage.snapshot import Snapshot
from distill_dagster.planning import sweep as planning
from distill_dagster.planning.plan import make_plan
from distill_dagster.planning.steps import Step, list_steps
from distill_dagster.planning.sweep import SweepPlan, plan_sweep
from distill_dagster.training.batches import StepPlan
from testing.projects import write_project

SWEEP = {"trials": 5, "space": {"epochs": [1, 4], "batch_size": {"low": 8, "high": 16}}}


def project_of(folder, sweep=SWEEP) -> Project:
    return Project(load_config(write_project(folder, **({"student.sweep": sweep} if sweep else {}))))


def test_the_plan_counts_the_training_rows_of_the_sources(tmp_path):
    project = project_of(tmp_path)
    plan = make_plan(Snapshot(project))
    assert plan.sweep == SweepPlan(trials=5, rows=90, least_steps=6, most_steps=48, seconds=None)
    assert plan.sweep.words == (
        "sweep: 5 trials of 6 to 48 steps, 240 at most; pruned trials take fewer; time: not known"
    )
    assert "steps of a trial: 90 source rows, none refused" in plan.rules
    longest = project.config.student.training.model_copy(update={"epochs": 4, "batch_size": 8})
    assert StepPlan.of(longest, -(-90 // 8)).steps == plan.sweep.most_steps, "as the training counts them"


def test_the_plan_is_shown_and_in_the_document(tmp_path):
    path = write_project(tmp_path, **{"student.sweep": SWEEP})
    shown = CliRunner().invoke(app, ["plan", "--config", str(path)])
    assert "sweep: 5 trials of 6 to 48 steps, 240 at most" in " ".join(shown.output.split())
    document = json.loads(CliRunner().invoke(app, ["plan", "--config", str(path), "--json"]).stdout)
    assert (document["sweep"]["trials"], document["sweep"]["most_steps"]) == (5, 48)


def test_without_a_sweep_or_with_one_that_is_up_to_date_there_is_nothing_to_plan(tmp_path):
    assert make_plan(Snapshot(project_of(tmp_path / "plain", sweep=None))).sweep is None
    look = Snapshot(project_of(tmp_path / "fresh"))
    fresh = [Step("student_sweep", None, "fresh")]
    assert plan_sweep(look, fresh, lambda: 90, []) is None


def test_the_time_is_that_of_the_rows_at_the_speed_of_the_last_training(tmp_path, monkeypatch):
    look = Snapshot(project_of(tmp_path))
    monkeypatch.setattr(planning, "_seconds_a_row", lambda _: 0.5)
    plan = plan_sweep(look, list_steps(look), lambda: 90, [])
    assert plan.seconds == 5 * 4 * 90 * 0.5
    assert plan.words.endswith("time: 15 min 0 s at most")


@pytest.mark.parametrize("steps", [7])
def test_trainings_of_one_length_have_one_number(steps):
    assert "2 trials of 7 steps, 14 at most" in SweepPlan(2, 50, steps, steps, None).words
