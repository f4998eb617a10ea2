"""A release says what the licences demand: they may hold it back, and its card lies beside the released weights."""

import pytest

from distill_dagster.config import DistillConfig
from distill_dagster.errors import ConfigError
from distill_dagster.release.findings import require_licences
from distill_dagster.store import files
from testing.projects import tiny_settings
from testing.releases import Students, named


@pytest.fixture
def students(tmp_path) -> Students:
    return Students(tmp_path)


def card(students: Students, place: str = "") -> str:
    return (students.manifest.folder / place / files.WEIGHTS_FOLDER / "README.md").read_text()


def test_a_student_that_a_licence_holds_back_is_refused_with_the_clause(students):
    students.judge("a", wrong=50)
    found = students.judge("b", wrong=20, problems=["teacher x: no competing models", "teacher y: not listed"])
    assert (found.champion, students.weights) == (named("a"), "a")
    assert found.decision.why == "teacher x: no competing models; teacher y: not listed"
    assert students.judge("b", wrong=20).champion == named("b"), "the way out was taken"
    assert students.outcomes == ["promoted a", "refused b", "promoted b"]


def test_each_kept_student_has_the_card_of_its_own_time(students):
    written = students.checkpoint("a") / files.WEIGHTS_FOLDER / "README.md"
    written.write_text("the card of the training")
    students.judge("a", wrong=50)
    assert card(students) == "the card of a on rows"
    assert written.read_text() == "the card of the training", "the checkpoint's own file is another one"
    students.judge("b", wrong=80)
    assert card(students) == "the card of a on rows"
    students.judge("c", wrong=20)
    assert card(students) == "the card of c on rows"
    assert card(students, f"{files.KEPT_FOLDER}/{named('a')[:16]}") == "the card of a on rows"


def test_approval_asks_the_licences_again():
    def of(**changes) -> DistillConfig:
        return DistillConfig.model_validate(tiny_settings(**changes))

    require_licences(of(release={}))
    with pytest.raises(ConfigError, match="i_have_checked_the_licence: true"):
        require_licences(of(**{"student.model": {"name": "nobody/knows-this"}, "release": {}}))
    require_licences(
        of(**{"student.model": {"name": "nobody/knows-this"}, "release": {"i_have_checked_the_licence": True}})
    )
