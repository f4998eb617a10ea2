"""The report's document as Markdown and as one HTML page.

Both templates see the same values. Every text of the document is data: it is escaped on output and never rendered as
a template. In Markdown, characters that would format or link are escaped as well.
"""

import html
import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from distill_dagster.report import numbers, wording
from distill_dagster.report.context import context_of
from distill_dagster.report.document import ReportDocument
from distill_dagster.report.plots import plots

if TYPE_CHECKING:
    import jinja2

FOLDER = Path(__file__).parent
MARKDOWN_SPECIAL = re.compile(r"([\\`*_\[\]|#!~])")


def render_html(document: ReportDocument) -> str:
    """A self-contained page: it has no scripts and fetches nothing."""
    from markupsafe import Markup

    pictures = [{**plot, "svg": Markup(plot["svg"])} for plot in plots(document)]  # our own SVG, without user text
    return _templates(None).get_template("report.html.jinja").render(**context_of(document), plots=pictures)


def render_markdown(document: ReportDocument) -> str:
    """The same in GitHub's Markdown, without pictures."""
    return _templates(escape_markdown).get_template("report.md.jinja").render(**context_of(document))


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


def _no_break(text: str) -> str:
    """Keep numbers with their unit, and the two ends of an interval together."""
    return re.sub(r"(?<=\d) (?=%)", "\u00a0", re.sub(r"(?<=\d)–(?=\d)", "\u2060–\u2060", text))
