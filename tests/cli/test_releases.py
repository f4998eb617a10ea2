"""The commands about releases, over a store with made students."""

import json
import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner

from distill_dagster.cli import app
from distill_dagster.cli.outcome import print_decision
from distill_dagster.config.reading import load_config
from distill_dagster.lineage.project import Project
from distill_dagster.lineage.published import PUBLISHED
from distill_dagster.lineage.releases import measured_as
from distill_dagster.release.publish.publishing import publish_student
from distill_dagster.store import files
from distill_dagster.store.result import Counts, Result
from testing.projects import write_project
from testing.releases import Students, named

WIDE = {"COLUMNS": "500", "DAGSTER_HOME": None}


@pytest.fixture
def students(tmp_path) -> Students:
    write_project(tmp_path, release={"approve": "manual"}, **{"evaluation.resamples": 500})
    return Students(tmp_path, approve="manual")


def said(students: Students, *arguments: str):
    return CliRunner().invoke(app, [*arguments, "--config", str(students.folder / "distill.yaml")], env=WIDE)


def benchmarked(students: Students, student: str) -> str:
    """Publish the benchmark of a student; returns what its scores are comparable with."""
    spec = students.spec(student, students.folder, wrong=30)

    def make(out, work):
        shutil.copy(spec.predictions, out / files.PREDICTIONS_FILE)
        return Result(data_version="v", counts=Counts())

    inputs = {"stage": "student_benchmark", "student_checkpoint": named(student), "eval_dataset": "rows"}
    store = students.store
    return measured_as(store.publish("student_benchmark", None, fingerprint="f" * 12, inputs=inputs, make=make))


def published_by(students: Students, folder: Path) -> None:
    """Make the artefact `published_student`: put the released student into a folder."""

    def publish(out, work):
        return publish_student(students.published_at(folder, out), "cpu")

    students.store.publish(PUBLISHED, None, fingerprint="f" * 12, inputs={}, make=publish)


def test_a_student_that_waits_is_approved_and_the_history_says_who_and_why(students):
    assert said(students, "releases").exit_code == 2
    students.judge("a", wrong=50)
    listed = said(students, "releases")
    assert "released: none; a00000000000 waits for `distill-dagster approve`" in listed.stdout
    approved = said(students, "approve")
    assert (approved.exit_code, students.weights) == (0, "a")
    assert "released: a00000000000" in approved.stdout
    found = json.loads(said(students, "releases", "--json").stdout)
    assert (found["champion"], found["waiting"]) == (named("a"), None)
    assert [decision["outcome"] for decision in found["decisions"]] == ["waiting", "approved"]
    assert found["decisions"][1]["who"].startswith("distill-dagster approve (")
    refused = said(students, "approve")
    assert refused.exit_code == 2
    assert "no student waits for approval" in refused.output


def test_a_rollback_releases_the_student_before(students):
    for name, wrong in (("a", 50), ("b", 20)):
        students.judge(name, wrong=wrong)
        assert said(students, "approve").exit_code == 0
    assert students.weights == "b"
    assert said(students, "rollback").exit_code == 0
    assert students.weights == "a"
    assert students.outcomes[-1] == "rolled back b"


def test_two_students_are_compared_by_task(students):
    rows = benchmarked(students, "c")
    for name, wrong in (("a", 50), ("c", 30)):
        students.judge(name, wrong=wrong, rows=rows)
        if name == "a":
            said(students, "approve")
    (found,) = json.loads(said(students, "compare", "student", "released", "--json").stdout)
    assert (found["task"], found["a"], found["b"]) == ("nli", 0.97, 0.95)
    assert round(found["difference"]["value"], 6) == 0.02
    other, same = (said(students, "compare", name, "c").stdout for name in (named("a")[:3], "student"))
    assert "nli" in other
    assert "same student" not in other
    assert f"student and c are the same student, {named('c')[:12]}" in same
    unknown = said(students, "compare", "zz", "student")
    assert unknown.exit_code == 2
    assert "no student is named 'zz'" in unknown.output


def test_scores_on_other_rows_are_not_compared(students):
    benchmarked(students, "c")
    students.judge("a", wrong=50, rows="older rows")
    found = said(students, "compare", "a", "student")
    assert found.exit_code == 2
    assert "a00000000000 has no score on the present held-out rows" in found.output


def test_a_run_ends_with_the_last_decision_and_where_the_released_student_is(students, capsys):
    project = Project(load_config(students.folder / "distill.yaml"))
    assert print_decision(project) == {}
    students.judge("a", wrong=50)
    assert print_decision(project) == {"release": "waiting", "released_path": None}
    said(students, "approve")
    link = str(students.store.root / "released")
    assert print_decision(project) == {"release": "approved", "released_path": link}
    shown = capsys.readouterr().out
    assert "release: waiting a00000000000: it is the first student whose retention passes" in shown
    assert "released student: none yet" in shown


def test_a_run_ends_with_where_the_student_is_published(students, tmp_path, capsys):
    write_project(tmp_path, release={"approve": "manual", "publish": {"folder": {"path": "models"}}})
    project = Project(load_config(tmp_path / "distill.yaml"))
    students.judge("a", wrong=50)
    said(students, "approve")
    assert "published" not in print_decision(project), "nothing is published yet"
    published_by(students, tmp_path / "models")
    url = str(tmp_path / "models/current")
    capsys.readouterr()
    assert print_decision(project)["published"] == {"folder": url}
    assert f"published: a00000000000 at {url} (folder, revision " in capsys.readouterr().out.replace("\n", "")


def test_a_project_without_releases_says_how_to_begin(tmp_path):
    path = write_project(tmp_path)
    assert load_config(path).release is None
    found = CliRunner().invoke(app, ["rollback", "--config", str(path)], env=WIDE)
    assert found.exit_code == 2
    assert "add `release: {}`" in found.output


def test_releases_say_where_the_student_is_published_and_what_is_not_yet(students, tmp_path):
    students.judge("a", wrong=50)
    said(students, "approve")
    published_by(students, tmp_path / "models")
    assert (
        f"published: a00000000000 at {tmp_path / 'models/current'} (folder, revision "
        in said(students, "releases").stdout
    )
    found = json.loads(said(students, "releases", "--json").stdout)["published"]
    assert (found["student"], found["places"][0]["kind"]) == (named("a"), "folder")
    students.judge("b", wrong=20)
    said(students, "approve")
    assert (
        "the released student is b00000000000: `distill-dagster run` publishes it" in said(students, "releases").stdout
    )
