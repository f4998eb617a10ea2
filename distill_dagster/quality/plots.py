"""Plots of a set for Dagster's metadata panel: small PNGs inside Markdown.

    labels_plot({"card": 120, "pin": 40}, {"card": 90, "pin": 38})  ->  ![…](data:image/png;base64,iVBORw0…)

Dagster stores metadata with every event and sends all of it to the browser, so a plot stays below about 15 kB: few
labels, and a palette of 16 colours.
"""

import base64
import io
from collections.abc import Mapping, Sequence
from typing import Any

from distill_dagster.quality.specs import AgainstGold

BEFORE, AFTER, INK = "#94a3b8", "#3b82f6", "#64748b"  # legible on white and on Dagster's dark theme
RIGHT, WRONG = "#16a34a", "#dc2626"
LABELS = 20  # most labels of a plot; the facts have all of them
DPI = 80


def labels_plot(before: Mapping[str, int], after: Mapping[str, int]) -> str | None:
    """Rows by label before and after the filters, the most frequent label first; None without labels."""
    labels = list(before)[:LABELS]
    if not labels:
        return None
    rows = [(label, before[label], after.get(label, 0)) for label in labels]
    left_out = len(before) - len(labels)
    title = f"rows by label{f', {left_out} labels left out' if left_out else ''}"
    return _bars(rows, ("before the filters", BEFORE), ("after", AFTER), title)


def gold_plot(against_gold: AgainstGold) -> str | None:
    """The share of right and of wrong answers that each filter refuses, in percent; None if no filter refuses any."""
    shares = gold_shares(against_gold)
    rows = [(name, 100 * right, 100 * wrong) for name, right, wrong in shares if right or wrong]
    if not rows:
        return None
    return _bars(rows, ("of the right answers", RIGHT), ("of the wrong", WRONG), "refused, in %")


def gold_shares(against_gold: AgainstGold) -> list[tuple[str, float, float]]:
    """(filter, share of right answers that it refuses, share of wrong ones), by the share of wrong ones, descending."""
    right, wrong = max(against_gold.right, 1), max(against_gold.wrong, 1)
    shares = [(name, n.right / right, n.wrong / wrong) for name, n in against_gold.filters.items()]
    return sorted(shares, key=lambda share: (-share[2], -share[1], share[0]))


def _bars(rows: Sequence[tuple[str, float, float]], first: tuple[str, str], second: tuple[str, str], title: str) -> str:
    """A bar plot with two horizontal bars for each of `rows` (name, first value, second value), as Markdown."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5.4, 0.9 + 0.3 * len(rows)), layout="constrained", dpi=DPI)
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    for offset, place, (name, colour) in ((-0.2, 1, first), (0.2, 2, second)):
        axes.barh([i + offset for i in range(len(rows))], [row[place] for row in rows], 0.38, color=colour, label=name)
    axes.set_yticks(range(len(rows)), [_short(row[0]) for row in rows], fontsize=8, parse_math=False)
    axes.invert_yaxis()
    axes.tick_params(colors=INK, labelcolor=INK, labelsize=8)
    axes.set_xlabel(title, color=INK, fontsize=8)
    for side, spine in axes.spines.items():
        spine.set_visible(side == "bottom")
        spine.set_color(INK)
    axes.legend(loc="lower right", bbox_to_anchor=(1, 1), ncols=2, fontsize=8, frameon=False, labelcolor=INK)
    return f"![{title}](data:image/png;base64,{base64.b64encode(_png(figure)).decode()})"


def _png(figure: Any) -> bytes:
    """The figure as a PNG with a transparent background and few colours."""
    from PIL import Image

    drawn, small = io.BytesIO(), io.BytesIO()
    figure.savefig(drawn, format="png", transparent=True)
    Image.open(drawn).quantize(16, method=Image.Quantize.FASTOCTREE).save(small, "PNG", optimize=True)
    return small.getvalue()


def _short(label: str) -> str:
    return label if len(label) <= 28 else label[:27] + "…"
