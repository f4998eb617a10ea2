"""How a run ended, for people and as JSON."""

import json
from pathlib import Path
from typing import Any

from distill_dagster.cli.console import err, out, say, say_error, say_warning, shown_path, table
from distill_dagster.cli.released import read_published
from distill_dagster.cli.status import print_student
from distill_dagster.lineage.exports import export_of
from distill_dagster.lineage.freshness import is_fresh
from distill_dagster.lineage.project import Project
from distill_dagster.lineage.published import PUBLISHED
from distill_dagster.lineage.snapshot import Snapshot
from distill_dagster.lineage.student import RELEASED, link_student, student_path
from distill_dagster.lineage.student import STAGE as STUDENT
from distill_dagster.operations.runner import Outcome, Runner
from distill_dagster.release.gate import short
from distill_dagster.release.publish.specs import PublishResult
from distill_dagster.release.specs import ReleaseResult
from distill_dagster.report.document import ReportDocument, read_document
from distill_dagster.report.tables import summary_rows
from distill_dagster.report.timing import withheld_notes
from distill_dagster.sources.specs import ReadResult
from distill_dagster.store import files
from distill_dagster.teachers.money import spent_so_far
from distill_dagster.teachers.responses import Responses

FAILED, VERDICT_FAIL = 1, 3  # exit codes
LAST_ASSETS = (None, "eval_report", RELEASED, PUBLISHED)  # a run that ends after one of them has a report


def read_report(project: Project) -> ReportDocument:
    """The last report's document; NotPublishedError if none is published."""
    return read_document(project.store.get("eval_report").file(files.REPORT_FILE))


def report_page(project: Project) -> Path:
    """The path of the last report's HTML page; NotPublishedError if none is published."""
    return project.store.get("eval_report").file(files.REPORT_PAGE)


def refused_rows(look: Snapshot) -> int:
    """How many rows of the source files, test files included, the published tables leave out as invalid."""
    tables = [*(look.find("raw_dataset", key) for key in look.shards), look.find("eval_dataset")]
    return sum(manifest.read(ReadResult).counts.rejected for manifest in tables if manifest)


def closing_document(document: ReportDocument, outcome: Outcome, page: Path, student: Path) -> dict[str, Any]:
    """The last line of a run, for machines: what was made, and the scores and sizes of the models."""
    models = {role: model.model_dump(include={"score", "parameters"}) for role, model in document.models.items()}
    return {
        "seconds": outcome.seconds,
        **models,
        "retention": document.retention.value,
        "verdict": document.verdict.verdict,
        "materialized": len(outcome.materialized),
        "skipped": len(outcome.skipped),
        "report": str(page),
        "student_path": str(student),
    }


def failed_by_verdict(look: Snapshot, outcome: Outcome) -> bool:
    """Whether everything was made, and only the report's verdict failed."""
    if [*outcome.failed] != ["eval_report"] or not is_fresh(look, "eval_report"):
        return False
    return read_report(look.project).verdict.verdict == "FAIL"


def print_outcome(runner: Runner, outcome: Outcome, ended: bool) -> int:
    """Print the closing table, the paths of student and report, and one line of JSON; returns the exit code.

    It is 1 if a step or a blocking check failed, and 3 if only the verdict is FAIL.
    """
    print_counts(runner, outcome)
    print_problems(runner.look, outcome)
    if not ended or (outcome.failed and not failed_by_verdict(runner.look, outcome)):
        print_closing(unfinished_document(outcome))
        return FAILED if outcome.failed else 0
    if not outcome.materialized:
        say("Nothing was stale: no asset was materialized.")
    closing = print_end(runner.look.project, outcome)
    print_closing(closing)
    return VERDICT_FAIL if closing["verdict"] == "FAIL" else 0


def print_counts(runner: Runner, outcome: Outcome) -> None:
    """Print how many artefacts were made, and what the teachers have cost so far."""
    held = f", held back {len(outcome.held)}" if outcome.held else ""
    made = f"materialized {len(outcome.materialized)}, up to date and skipped {len(outcome.skipped)}"
    say(f"{made}, failed {len(outcome.failed)}{held}", err)
    teacher = runner.look.config.teacher
    if any(source.endpoint for source in teacher.sources):
        spent = Responses(runner.look.project.responses).spent()
        say(f"teachers, all runs together: {spent_so_far(spent, teacher)}", err)


def print_problems(look: Snapshot, outcome: Outcome) -> None:
    """Print what was refused, warned of, and failed."""
    if refused := refused_rows(look):
        say_warning(f"{refused:,} source rows are refused; `distill-dagster validate` says which and why")
    for name, message in outcome.warnings.items():
        say_warning(f"{name}: {message}")
    for name, message in outcome.failed.items():
        say_error(f"{name}: {message}")


def unfinished_document(outcome: Outcome) -> dict[str, Any]:
    """The last line of a run that reached no report, for machines."""
    counts = {"materialized": len(outcome.materialized), "skipped": len(outcome.skipped)}
    what = {"failed": outcome.failed, "held": outcome.held, "warnings": outcome.warnings}
    return {"seconds": outcome.seconds, **counts, **what}


def print_closing(document: dict[str, Any]) -> None:
    """Print the line of JSON."""
    print(json.dumps(document, ensure_ascii=False, allow_nan=False))


def print_end(project: Project, outcome: Outcome) -> dict[str, Any]:
    """Print the report, the student, and what became of it; returns the last line of the run."""
    document, page = read_report(project), report_page(project)
    student = link_student(project.store, project.store.get(STUDENT))  # an older version left no link
    print_report(document, page)
    print_student(student)
    released = print_decision(project) if project.config.release else {}
    print_exports(project)
    return {**closing_document(document, outcome, page, student), **released}


def print_decision(project: Project) -> dict[str, Any]:
    """Print the last decision about a release, and where the released student is; returns both for machines."""
    found = project.store.find(RELEASED)
    if found is None or (decision := found.read(ReleaseResult).decision) is None:
        return {}
    path = student_path(project.store, RELEASED)
    say(f"release: {decision.outcome} {short(decision.student)}: {decision.why}")
    say(f"released student: {shown_path(path) if path else 'none yet'}")
    closing = {"release": decision.outcome, "released_path": str(path) if path else None}
    rule, published = project.config.release, read_published(project)
    if rule is None or rule.publish is None or published is None:
        return closing
    print_published(published, found.read(ReleaseResult).champion)
    return {**closing, "published": {place.kind: place.url for place in published.places}}


def print_published(published: PublishResult, champion: str | None) -> None:
    """Print where a student is published, one line a place, and whether the released one is not yet."""
    for place in published.places:
        say(f"published: {short(published.student)} at {place.url} ({place.kind}, revision {place.revision})")
    print_unpublished(published, champion)


def print_unpublished(published: PublishResult | None, champion: str | None) -> None:
    """Print that the released student is not the published one, if so."""
    if published is None or published.student != champion:
        say(f"the released student is {short(champion)}: `distill-dagster run` publishes it")


def print_exports(project: Project) -> None:
    """Print where the student's exports are."""
    for form in project.config.export.formats:
        if path := student_path(project.store, export_of(form)):
            say(f"exported as {form}: {shown_path(path)}")


def print_report(document: ReportDocument, page: Path) -> None:
    """Print a warning of a weak teacher, the headline, the columns, the verdict with its reason, and the path."""
    if document.weak_teacher:
        say_warning(document.weak_teacher)
    if document.fall:
        say_warning(document.fall)
    say(document.headline)
    rows = [list(row) for row in summary_rows(document)]
    columns = ["teacher", "baseline", "distilled", "gold alone"][: len(document.models)]
    out.print(table(None, ["", *columns], rows, whole_labels=True))
    for note in withheld_notes(document.speed) if document.speed else ():
        say_warning(note)
    say(f"verdict: {document.verdict.verdict}. {document.verdict.text}")
    if document.gold_student:
        (say_warning if document.gold_student.is_better else say)(document.gold_student.text)
    say(f"report: {shown_path(page)}")
