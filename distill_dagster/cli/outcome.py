"""How a run ended, for people and as JSON."""

from pathlib import Path
from typing import Any

from distill_dagster.config import ROLES
from distill_dagster.lineage.project import Project
from distill_dagster.lineage.snapshot import Snapshot
from distill_dagster.operations.runner import Outcome
from distill_dagster.report.document import ReportDocument, read_document
from distill_dagster.sources.specs import ReadResult
from distill_dagster.store import files


def read_report(project: Project) -> ReportDocument:
    """The last report's document; NotPublishedError if none is published."""
    return read_document(project.store.get("eval_report").file(files.REPORT_FILE))


def report_page(project: Project) -> Path:
    """The last report for a browser; NotPublishedError where there is none."""
    return project.store.get("eval_report").file(files.REPORT_PAGE)


def refused_rows(look: Snapshot) -> int:
    """Rows of the source files, the test's included, that no published table has because they are not valid."""
    tables = [*(look.find("raw_dataset", key) for key in look.shards), look.find("eval_dataset")]
    return sum(manifest.read(ReadResult).counts.rejected for manifest in tables if manifest)


def closing_document(document: ReportDocument, outcome: Outcome, page: Path) -> dict[str, Any]:
    """The machine-readable end of a run: what was made, and what the report says of the three models."""
    models = {role: document.benchmarks[role].model_dump(include={"score", "parameters"}) for role in ROLES}
    return {
        "seconds": outcome.seconds,
        **models,
        "retention": document.retention.value,
        "verdict": document.verdict.verdict,
        "materialized": len(outcome.materialized),
        "skipped": len(outcome.skipped),
        "report": str(page),
    }
