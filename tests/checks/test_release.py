"""The check of a release: twenty looks at one test set are many."""

from types import SimpleNamespace

from distill_dagster.checks.base import Inspection
from distill_dagster.checks.release import CHECKS
from distill_dagster.config import ChecksConfig
from testing.releases import Students


def test_more_looks_than_the_limit_are_a_warning_until_the_rows_change(tmp_path):
    (check,), students = CHECKS, Students(tmp_path)
    look = SimpleNamespace(get=lambda *_: students.manifest)

    def found():
        return check.inspect(Inspection(look, check.asset, None, 2))

    for name, looks in (("a", 1), ("b", 2), ("b", 2)):
        students.judge(name, verdict="FAIL")
        assert (found().passed, found().numbers) == (True, {"looks": looks})
    students.judge("c", verdict="FAIL")
    assert not found().passed
    assert found().description.startswith("3 students were judged on the present held-out rows; at most 2 should be")
    students.judge("d", verdict="FAIL", rows="other")
    assert found().passed
    assert check.limit(ChecksConfig()) == 20
