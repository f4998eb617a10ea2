"""The asset `released_student` in the lineage: when it is made, what it shows, what holds it, and what it leaves."""

import json
from dataclasses import replace
from pathlib import Path

import dagster as dg
import pytest

from distill_dagster.config.reading import load_config
from distill_dagster.lineage.project import Project
from distill_dagster.lineage.releases import released_scores
from distill_dagster.lineage.snapshot import Snapshot
from distill_dagster.lineage.student import RELEASED
from distill_dagster.planning.steps import list_steps
from distill_dagster.release.register import read_register
from distill_dagster.release.specs import ReleaseResult
from distill_dagster.report.document import read_document
from distill_dagster.store import files
from testing.projects import last_metadata, run_project


def say_verdict(project: Project, verdict: str) -> None:
    """Change the verdict of the published report, whose models are too small to pass."""
    report = project.store.get("eval_report")
    for path, section in (
        (report.file(files.REPORT_FILE), "verdict"),
        (project.store.folder("eval_report") / "manifest.json", "facts"),
    ):
        document = json.loads(path.read_text())
        document[section]["verdict"] = verdict
        path.write_text(json.dumps(document))


@pytest.fixture
def project(copy_of_made) -> Project:
    project = Project(load_config(copy_of_made(release={})))
    say_verdict(project, "PASS")
    return project


def test_the_first_student_is_released_once_and_linked(project, instance):
    assert {step.title: step.state for step in list_steps(Snapshot(project)) if not step.is_fresh} == {
        RELEASED: "missing"
    }
    outcome = run_project(project.config, instance)
    assert (outcome.failed, outcome.materialized) == ({}, [RELEASED])
    student, manifest = project.store.get("student_checkpoint"), project.store.get(RELEASED)
    assert manifest.data_version == student.data_version
    assert (project.store.root / "released/model.safetensors").samefile(student.file("model/model.safetensors"))
    (decision,) = read_register(manifest.folder).decisions
    assert decision.who.startswith("distill-dagster run (")
    run = instance.get_run_by_id(decision.run_id)
    assert run is not None
    assert run.asset_selection == {dg.AssetKey(RELEASED)}
    metadata = {name: value.value for name, value in last_metadata(instance, RELEASED).items()}
    assert metadata["released"] == metadata["first_release"] == student.data_version[:12]
    assert metadata["decision"].endswith("it is the first student whose retention passes")
    assert Path(metadata["model"]).is_dir()
    assert run_project(project.config, instance).materialized == []


def test_the_report_of_a_later_student_is_compared_with_the_released_one(project, instance):
    assert released_scores(Snapshot(project), project.store.get("student_benchmark")) is None
    run_project(project.config, instance)
    benchmark = project.store.get("student_benchmark")
    scores = released_scores(Snapshot(project), benchmark)
    assert scores is not None
    assert scores.comparable
    asked_otherwise = replace(benchmark, inputs={**benchmark.inputs, "max_new_tokens": 1})
    assert not released_scores(Snapshot(project), asked_otherwise).comparable
    champion = project.store.get("student_checkpoint").data_version
    learning = project.config.student.training.model_copy(update={"seed": 7})
    student = project.config.student.model_copy(update={"training": learning})
    assert "eval_report" in run_project(project.config.model_copy(update={"student": student}), instance).materialized
    compared = read_document(project.store.get("eval_report").file(files.REPORT_FILE)).against_released
    assert compared is not None
    assert (compared.student, compared.only_now, compared.only_earlier) == (champion, 0, 0)
    assert last_metadata(instance, "eval_report")["to_released"].value == compared.difference.value


def test_another_margin_judges_again_and_makes_nothing_else_stale(project, instance):
    run_project(project.config, instance)
    before = project.store.get(RELEASED)
    assert project.config.release is not None
    rule = project.config.release.model_copy(update={"margin": 0.02})
    config = project.config.model_copy(update={"release": rule})
    assert run_project(config, instance).materialized == [RELEASED]
    after = project.store.get(RELEASED)
    assert (after.data_version, after.read(ReleaseResult).decision) == (
        before.data_version,
        before.read(ReleaseResult).decision,
    )


def test_a_blocking_check_of_the_report_holds_it(project, instance):
    say_verdict(project, "FAIL")
    outcome = run_project(project.config, instance)
    assert list(outcome.failed) == ["eval_report"]
    assert outcome.held == [RELEASED]
    assert project.store.find(RELEASED) is None
