"""The report's document as Markdown and as one HTML page.

Both templates see the same values. Everything that comes from the document is data: escaped on its way out, never
itself a template. In Markdown, characters that would format or link are escaped as well.
"""

import html
import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from distill_dagster.report import wording
from distill_dagster.report.plots import plots

if TYPE_CHECKING:
    import jinja2

FOLDER = Path(__file__).parent
MARKDOWN_SPECIAL = re.compile(r"([\\`*_\[\]|#!~])")
Document = Mapping[str, Any]


def render_html(document: Document) -> str:
    """A self-contained page: no script, nothing fetched."""
    from markupsafe import Markup

    pictures = [{**plot, "svg": Markup(plot["svg"])} for plot in plots(document)]  # our own SVG, without user text
    return _environment(None).get_template("report.html.jinja").render(**_context(document), plots=pictures)


def render_markdown(document: Document) -> str:
    """The same in GitHub's Markdown, without pictures."""
    return _environment(escape_markdown).get_template("report.md.jinja").render(**_context(document))


def escape_markdown(value: Any) -> Any:
    """Text as Markdown that shows it unchanged, in one line, also inside a table's cell."""
    from markupsafe import Markup

    if isinstance(value, Markup) or not isinstance(value, str):
        return value
    line = " ".join(value.split())
    return Markup(MARKDOWN_SPECIAL.sub(r"\\\1", html.escape(line, quote=False)))


def _environment(finalize: Any) -> "jinja2.Environment":
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(FOLDER),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        finalize=finalize,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters |= {
        "percent": wording.percent,
        "percent_range": wording.percent_range,
        "estimate": wording.estimate_cell,
        "no_break": _no_break,
    }
    return environment


def _context(document: Document) -> dict[str, Any]:
    """What the templates read."""
    benchmarks = document["benchmarks"]
    return {
        "document": document,
        "roles": wording.ROLES,
        "names": {role: benchmarks[role]["model"]["name"] for role in wording.ROLES},
        "comparison": wording.comparison_rows(document),
        "cards": _cards(document),
        "mcnemar": wording.mcnemar_text(document),
        "lineage": wording.flat_rows(document["lineage"]),
        "settings": _settings(benchmarks),
        "memory_how": {role: benchmarks[role]["memory"]["how"] for role in wording.ROLES},
        "speed": benchmarks["student"]["speed"],
    }


def _cards(document: Document) -> list[dict[str, str]]:
    """The four numbers at the top of the page."""
    retention, gap, ratios = document["retention"], document["gap_recovered"], document["ratios"]
    return [
        {"label": "Retention", "value": wording.percent(retention["value"]), "note": _interval_note(retention)},
        {"label": "Gap recovered", "value": wording.percent(gap["value"]), "note": _interval_note(gap)},
        {
            "label": "Parameters",
            "value": wording.ratio_label(ratios["parameters"], "fewer", "more"),
            "note": _pair(document, lambda b: wording.amount(b["parameters"])),
        },
        {
            "label": "Latency, p50",
            "value": wording.ratio_label(ratios["latency"], "lower", "higher"),
            "note": _pair(document, lambda b: wording.duration(b["speed"]["latency_ms"]["p50"])),
        },
    ]


def _interval_note(estimate: Mapping[str, Any]) -> str:
    if estimate["value"] is None:
        return str(estimate["reason"])
    ends = wording.percent_range(estimate["low"], estimate["high"])
    return "no 95 % interval" if ends == wording.DASH else f"95 % interval {ends}"


def _pair(document: Document, number: Any) -> str:
    return f"{number(document['benchmarks']['teacher'])} → {number(document['benchmarks']['student'])}"


def _settings(benchmarks: Mapping[str, Mapping[str, Any]]) -> list[tuple[str, ...]]:
    """What the numbers were measured on: (label, teacher, student, baseline)."""
    parts = ("model", "dtype", "hardware", "versions")
    by_role = [dict(wording.flat_rows({part: benchmarks[role][part] for part in parts})) for role in wording.ROLES]
    labels = dict.fromkeys(label for found in by_role for label in found)
    return [(label, *(found.get(label, wording.DASH) for found in by_role)) for label in labels]


def _no_break(text: str) -> str:
    """Numbers stay with their unit, and the ends of an interval together."""
    return re.sub(r"(?<=\d) (?=%)", "\u00a0", re.sub(r"(?<=\d)–(?=\d)", "\u2060–\u2060", text))
