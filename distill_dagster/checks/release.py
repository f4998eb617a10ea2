"""The check of a release: how often the same held-out rows have decided."""

from distill_dagster.checks.base import Check, Finding, Inspection
from distill_dagster.release.specs import ReleaseResult


def _few_looks_at_the_test_set(of: Inspection) -> Finding:
    """Each student that is judged on the same rows is one more chance to pass by luck."""
    looks, most = of.manifest.read(ReleaseResult).counts.looks, int(of.limit)
    says = f"{looks:,} students were judged on the present held-out rows; at most {most:,} should be"
    way_out = "" if looks <= most else ": the released one is partly the luckiest of them, so measure on new rows"
    return Finding(looks <= most, says + way_out, {"looks": looks})


CHECKS = (
    Check(
        "few_looks_at_the_test_set",
        "released_student",
        "At most `checks.max_looks` students were judged for a release on the present held-out rows.",
        _few_looks_at_the_test_set,
        severity=lambda s: s.few_looks_at_the_test_set,
        limit=lambda c: c.max_looks,
    ),
)
