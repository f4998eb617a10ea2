"""A weak teacher is named in the check, at the run's end and in the report; a good one and a strict config are not."""

import pytest

from distill_dagster.checks import CHECKS
from distill_dagster.lineage.project import Project
from distill_dagster.lineage.snapshot import Snapshot
from distill_dagster.report.document import read_document
from distill_dagster.store import files, parquet, schemas
from distill_dagster.store.hashing import rows_hash
from testing.report_parts import benchmark, predictions

GOLDS = ["neutral", "neutral", "entailment", "contradiction"]  # always answering "neutral" scores 50 %


def look(project):
    (check,) = [check for check in CHECKS if check.name == "teacher_above_chance"]
    return check.run(Snapshot(project), None)


def publish(project, right: int, of: int = 100):
    """A teacher's benchmark on `of` rows; it answered `right` of them."""
    rows = predictions("teacher", [1] * right + [0] * (of - right))
    for i, row in enumerate(rows):
        row["reference"] = [GOLDS[i % 4]]

    def make(out, _):
        from distill_dagster.evaluation.specs import BenchmarkCounts, BenchmarkResult

        parquet.write_table(out / files.PREDICTIONS_FILE, rows, schemas.PREDICTION)
        counted = dict.fromkeys(("unparsable", "truncated", "failed", "unscored"), 0)
        counts = BenchmarkCounts(rows=of, predictions=of, **counted)
        return BenchmarkResult(**dict(benchmark("teacher", rows)), counts=counts, data_version=rows_hash(rows))

    project.store.publish("teacher_benchmark", None, fingerprint=str((right, of)), inputs={}, make=make)


@pytest.mark.parametrize(
    ("right", "passed", "undecided", "says"),
    [
        (80, True, False, "the teacher scores 80.0% on nli (95 % interval 71.1% to 87.2%), above the 50.0%"),
        (58, False, True, "(95 % interval 47.9% to 67.6%), which is not shown to be above the 50.0%"),
        (30, False, False, "below the 50.0% of always answering 'neutral'"),
    ],
)
def test_the_interval_decides(tiny_config, right, passed, undecided, says):
    project = Project(tiny_config)
    publish(project, right)
    found = look(project)
    assert (found.passed, found.undecided) == (passed, undecided)
    assert says in found.description
    assert found.numbers["chance"] == 0.5


def test_the_runs_end_and_the_report_name_the_weak_teacher(made):
    """The teacher of this tiny project answers at random."""
    project, _, said = made
    assert "teacher_above_chance on teacher_benchmark: the teacher scores" in " ".join(said.output.split())
    document = read_document(project.store.get("eval_report").file(files.REPORT_FILE))
    assert document.weak_teacher
    assert document.weak_teacher in " ".join(said.output.split())
