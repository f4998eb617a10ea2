"""What the report's templates read of a document, section by section; both pages read the same."""

from collections.abc import Callable, Sequence
from typing import Any

from distill_dagster.config import ROLES, MeasuredRole
from distill_dagster.evaluation.comparison import RatioEstimate
from distill_dagster.evaluation.slices import FEWEST
from distill_dagster.evaluation.specs import Benchmark
from distill_dagster.report import costs, funnel, numbers, slice_tables, sweep, tables, timing, wording
from distill_dagster.report.document import ClassTable, ReportDocument
from distill_dagster.report.gold_student import ONE_SEED
from distill_dagster.report.provenance import provenance_sentences
from distill_dagster.tuning.specs import Trial

Context = dict[str, Any]
ARROW = " → "
TITLES: dict[MeasuredRole, str] = {
    **{"teacher": "Teacher", "baseline": "Baseline", "student": "Student"},
    "gold_student": "Gold student",
}
MOST_CLASSES = 100  # a table of more is in report.json only


def context_of(document: ReportDocument) -> Context:
    """What the templates read, section by section."""
    return {
        "document": document,
        "roles": ROLES,
        "models": {role: (TITLES[role], model.model.name) for role, model in document.models.items()},
        "fewest": FEWEST,
        "cards": _cards(document),
        **_scores(document),
        **_speed(document),
        **_losses(document),
        **_made(document),
        **_certainty(document),
    }


def _scores(document: ReportDocument) -> Context:
    """The columns, the tasks, and earlier students."""
    return {
        "comparison": tables.comparison_rows(document),
        "task_rows": tables.task_rows(document.tasks) if len(document.tasks) > 1 else [],
        "earlier": [
            {"says": wording.earlier_text(who, compared), "rows": tables.task_rows(compared.tasks)}
            for who, compared in wording.earlier_students(document.against_released, document.against_earlier)
        ],
    }


def _speed(document: ReportDocument) -> Context:
    """The lesson's targets, each number of requests in flight, and the exports."""
    return {
        "lesson": document.lesson,
        "levels": timing.level_rows(document.speed),
        "exports": timing.export_columns(document.speed),
        "export_rows": timing.export_rows(document.speed),
    }


def _losses(document: ReportDocument) -> Context:
    """Where the student loses."""
    return {
        "classes": [_classes(table) for table in document.classes],
        "judge": wording.judge_text(document.judgement) if document.judgement else None,
        "slices": slice_tables.slice_rows(document.slices, document.models),
        "agreement": slice_tables.agreement_rows(document.agreement),
        "confusions": [
            {"task": table.task, "rows": slice_tables.confusion_rows(table), "more": table.more}
            for table in document.confusions
        ],
    }


def _made(document: ReportDocument) -> Context:
    """The data's way, the cost, and where the student comes from."""
    found, spent = document.funnel, document.costs
    return {
        "funnel": {"rows": funnel.funnel_lines(found), "says": funnel.funnel_text(found)} if found else None,
        "costs": {"spent": costs.spent_rows(spent), "times": costs.time_rows(spent)} if spent else None,
        "data_cost": wording.data_cost_text(document.data_cost),
        "provenance": provenance_sentences(document.lineage),
        "lineage": tables.flat_rows(document.lineage.model_dump(mode="json")),
        "settings": tables.settings_rows(document.models),
    }


def _certainty(document: ReportDocument) -> Context:
    """How the numbers and the settings were found, and what limits them."""
    return {
        "mcnemar": wording.mcnemar_text(document.mcnemar, document.items),
        "intervals": wording.intervals_text(document.retention, document.evaluation),
        "differences": wording.difference_lines(document),
        "how_timed": timing.how_timed(document.speed),
        "memory_how": timing.memory_how(document.speed),
        "sweep": _sweep(document.trials),
        "notes": [*document.notes, *([ONE_SEED] if document.gold_student else [])],
    }


def _classes(table: ClassTable) -> dict[str, Any]:
    """A task's table of classes; it has no rows if there are too many for a page."""
    count = len(table.labels)
    return {"task": table.task, "count": count, "rows": tables.class_rows(table) if count <= MOST_CLASSES else []}


def _sweep(trials: Sequence[Trial]) -> dict[str, Any] | None:
    """The sentence and the best trials of a sweep; None without one."""
    return {"says": sweep.sentence(trials), "rows": sweep.rows(trials)} if trials else None


def _cards(document: ReportDocument) -> list[dict[str, str]]:
    """The four numbers at the top of the page."""
    retention, gap, ratios = document.retention, document.gap_recovered, document.ratios
    return [
        {"label": "Retention", "value": numbers.percent(retention.value), "note": _interval_note(retention)},
        {"label": "Gap recovered", "value": numbers.percent(gap.value), "note": _interval_note(gap)},
        {
            "label": "Parameters",
            "value": numbers.ratio_label(ratios.parameters, "fewer", "more"),
            "note": _pair(document, lambda b: numbers.amount(b.parameters)),
        },
        {
            "label": "Latency, p50",
            "value": numbers.ratio_label(ratios.latency, "lower", "higher") if ratios.latency else "withheld",
            "note": ARROW.join(numbers.duration(document.latency_p50(role)) for role in ("teacher", "student")),
        },
    ]


def _interval_note(estimate: RatioEstimate) -> str:
    if estimate.value is None:
        return str(estimate.reason)
    ends = numbers.percent_range(estimate.low, estimate.high)
    return "no 95 % interval" if ends == numbers.DASH else f"95 % interval {ends}"


def _pair(document: ReportDocument, number: Callable[[Benchmark], str]) -> str:
    return ARROW.join(number(document.benchmarks[role]) for role in ("teacher", "student"))
