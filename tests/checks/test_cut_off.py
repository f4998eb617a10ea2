"""A model that does not end its answers is named, of each model that is meant to answer."""

import pytest

from distill_dagster.checks import CHECKS
from distill_dagster.checks.models import MEANT_TO_ANSWER
from distill_dagster.evaluation.specs import BenchmarkCounts, BenchmarkResult
from distill_dagster.lineage.project import Project
from distill_dagster.lineage.snapshot import Snapshot
from testing.report_parts import benchmark, predictions


def publish(project: Project, role: str, truncated: int) -> None:
    rows = predictions(role, [1] * 95 + [0] * 5)
    counted = {**dict.fromkeys(("unparsable", "failed", "unscored"), 0), "truncated": truncated}
    counts = BenchmarkCounts(rows=100, predictions=100, **counted)
    measured = benchmark(role, rows).model_copy(update={"truncated": truncated})
    result = BenchmarkResult(**dict(measured), counts=counts, data_version=str(truncated))
    project.store.publish(f"{role}_benchmark", None, fingerprint=str(truncated), inputs={}, make=lambda *_: result)


@pytest.mark.parametrize(("truncated", "passed"), [(0, True), (5, True), (6, False), (100, False)])
@pytest.mark.parametrize("role", MEANT_TO_ANSWER)
def test_more_than_5_percent_is_a_warning(tiny_config, role, truncated, passed):
    (check,) = [check for check in CHECKS if (check.name, check.asset) == ("few_cut_off", f"{role}_benchmark")]
    project = Project(tiny_config)
    publish(project, role, truncated)
    found = check.run(Snapshot(project), None)
    assert found.passed == passed
    assert f"{truncated} of 100 answers of the {role.replace('_', ' ')} were cut off at 8 tokens" in found.description
    assert found.numbers == {"cut_off": truncated, "predictions": 100}
    assert check.severity_in(tiny_config) == "warn"
