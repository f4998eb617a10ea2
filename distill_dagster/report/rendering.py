"""The report's document as Markdown and as one HTML page.

Both templates see the same values. Every text of the document is data: it is escaped on output and never rendered as
a template. In Markdown, characters that would format or link are escaped as well.
"""

import html
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from distill_dagster.config import ROLES, MeasuredRole
from distill_dagster.evaluation.comparison import RatioEstimate
from distill_dagster.evaluation.slices import FEWEST
from distill_dagster.evaluation.specs import Benchmark
from distill_dagster.report import numbers, slice_tables, sweep, tables, timing, wording
from distill_dagster.report.document import ClassTable, ReportDocument
from distill_dagster.report.gold_student import ONE_SEED
from distill_dagster.report.plots import plots
from distill_dagster.tuning.specs import Trial

if TYPE_CHECKING:
    import jinja2

FOLDER = Path(__file__).parent
MARKDOWN_SPECIAL = re.compile(r"([\\`*_\[\]|#!~])")
ARROW = " → "
TITLES: dict[MeasuredRole, str] = {
    **{"teacher": "Teacher", "baseline": "Baseline", "student": "Student"},
    "gold_student": "Gold student",
}
MOST_CLASSES = 100  # a table of more is in report.json only


def render_html(document: ReportDocument) -> str:
    """A self-contained page: it has no scripts and fetches nothing."""
    from markupsafe import Markup

    pictures = [{**plot, "svg": Markup(plot["svg"])} for plot in plots(document)]  # our own SVG, without user text
    return _templates(None).get_template("report.html.jinja").render(**_context(document), plots=pictures)


def render_markdown(document: ReportDocument) -> str:
    """The same in GitHub's Markdown, without pictures."""
    return _templates(escape_markdown).get_template("report.md.jinja").render(**_context(document))


def escape_markdown(value: Any) -> Any:
    """Text as one line of Markdown that shows it unchanged, also inside a table's cell."""
    from markupsafe import Markup

    if isinstance(value, Markup) or not isinstance(value, str):
        return value
    line = " ".join(value.split())
    return Markup(MARKDOWN_SPECIAL.sub(r"\\\1", html.escape(line, quote=False)))


def _templates(finalize: Callable[[Any], Any] | None) -> "jinja2.Environment":
    environment = open_templates(FOLDER, finalize)
    environment.filters |= {"percent": numbers.percent, "estimate": wording.estimate_cell, "no_break": _no_break}
    return environment


def open_templates(folder: Path, finalize: Callable[[Any], Any] | None) -> "jinja2.Environment":
    """The templates in a folder: a value that is missing is an error, and `finalize` changes every value."""
    import jinja2

    return jinja2.Environment(
        loader=jinja2.FileSystemLoader(folder),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        finalize=finalize,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )


def _context(document: ReportDocument) -> dict[str, Any]:
    """What the templates read."""
    return {
        "document": document,
        "roles": ROLES,
        "models": {role: (TITLES[role], model.model.name) for role, model in document.models.items()},
        "comparison": tables.comparison_rows(document),
        "classes": [_classes(table) for table in document.classes],
        "fewest": FEWEST,
        "judge": wording.judge_text(document.judgement) if document.judgement else None,
        "slices": slice_tables.slice_rows(document.slices),
        "agreement": slice_tables.agreement_rows(document.agreement),
        "confusions": [
            {"task": table.task, "rows": slice_tables.confusion_rows(table), "more": table.more}
            for table in document.confusions
        ],
        "cards": _cards(document),
        "mcnemar": wording.mcnemar_text(document.mcnemar, document.items),
        "intervals": wording.intervals_text(document.retention, document.evaluation),
        "differences": wording.difference_lines(document),
        "task_rows": tables.task_rows(document.tasks) if len(document.tasks) > 1 else [],
        "earlier": [
            {"says": wording.earlier_text(who, compared), "rows": tables.task_rows(compared.tasks)}
            for who, compared in wording.earlier_students(document.against_released, document.against_earlier)
        ],
        "sweep": _sweep(document.trials),
        "lineage": tables.flat_rows(document.lineage.model_dump(mode="json")),
        "settings": tables.settings_rows(document.models),
        "notes": [*document.notes, *([ONE_SEED] if document.gold_student else [])],
        "lesson": document.lesson,
        "levels": timing.level_rows(document.speed),
        "exports": timing.export_columns(document.speed),
        "export_rows": timing.export_rows(document.speed),
        "how_timed": timing.how_timed(document.speed),
        "memory_how": timing.memory_how(document.speed),
        "data_cost": wording.data_cost_text(document.data_cost),
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


def _no_break(text: str) -> str:
    """Keep numbers with their unit, and the two ends of an interval together."""
    return re.sub(r"(?<=\d) (?=%)", "\u00a0", re.sub(r"(?<=\d)–(?=\d)", "\u2060–\u2060", text))
