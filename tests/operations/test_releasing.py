"""A person's decision: the store has it in one step, and Dagster learns the data version."""

import dagster as dg
import pytest

from distill_dagster.config.reading import load_config
from distill_dagster.errors import DataError, NotPublishedError
from distill_dagster.lineage.project import Project
from distill_dagster.lineage.student import RELEASED, link_student
from distill_dagster.operations.releasing import change_release
from distill_dagster.operations.returning import VERSION_TAG
from distill_dagster.release.changes import approve, roll_back
from testing.projects import write_project
from testing.releases import Students, named


@pytest.fixture
def project(tmp_path) -> Project:
    return Project(load_config(write_project(tmp_path, release={})))


def test_a_rollback_moves_the_link_and_dagster_learns_the_version(project, tmp_path, instance):
    students, store = Students(tmp_path), project.store
    students.judge("a", wrong=50)
    students.judge("b", wrong=20)
    link_student(store, students.manifest)
    found = change_release(project, instance, lambda earlier, out: roll_back(earlier, out, "ada"))
    assert (found.champion, found.waiting) == (named("a"), named("b"))
    assert (store.root / "released" / "weights.txt").read_text() == "a"
    event = instance.get_latest_materialization_event(dg.AssetKey(RELEASED)).asset_materialization
    assert event.tags[VERSION_TAG] == named("a")
    said = {name: value.value for name, value in event.metadata.items()}
    assert said["released"] == "a00000000000"
    assert said["waiting"] == "b00000000000 waits for approval: `distill-dagster approve`"
    assert said["decision"].startswith("rolled back b00000000000: a00000000000 is the released student again")
    change_release(project, instance, lambda earlier, out: approve(earlier, out, "ada", 3))
    assert (store.root / "released" / "weights.txt").read_text() == "b"


def test_a_change_that_is_not_possible_changes_nothing(project, tmp_path, instance):
    def back(earlier, out):
        return roll_back(earlier, out, "ada")

    with pytest.raises(NotPublishedError, match="released_student is not in"):
        change_release(project, instance, back)
    students = Students(tmp_path)
    students.judge("a", wrong=50)
    before = students.manifest
    with pytest.raises(DataError, match="a00000000000 is the first released student: there is no earlier one"):
        change_release(project, instance, back)
    assert students.manifest == before
    assert instance.get_latest_materialization_event(dg.AssetKey(RELEASED)) is None
