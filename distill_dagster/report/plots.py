"""The report's pictures, as SVG text to stand inside HTML.

matplotlib draws with fixed stand-in colours, which are then replaced by CSS variables (`var(--ink)`), so that one
picture is legible on a light and on a dark page. Text stays text, in the page's font. Only numbers, roles and task
names are drawn: nothing that a user wrote enters a picture.
"""

import io
import re
from collections.abc import Mapping, Sequence
from typing import Any

from distill_dagster.report.wording import ROLES

Document = Mapping[str, Any]

COLOURS = {  # stand-in -> CSS variable; the stand-ins are arbitrary, and occur nowhere else
    "#01a0f1": "--ink",
    "#02a0f2": "--muted",
    "#03a0f3": "--line",
    "#04a0f4": "--teacher",
    "#05a0f5": "--student",
    "#06a0f6": "--baseline",
}
INK, MUTED, LINE, TEACHER, STUDENT, BASELINE = COLOURS
ROLE_COLOURS = {"teacher": TEACHER, "student": STUDENT, "baseline": BASELINE}
STYLE: dict[Any, Any] = {
    "svg.fonttype": "none",
    "svg.hashsalt": "distill-dagster",
    "font.size": 10,
    "text.color": INK,
    "text.parse_math": False,
    "axes.labelcolor": MUTED,
    "axes.edgecolor": LINE,
    "axes.facecolor": "none",
    "axes.axisbelow": True,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "figure.facecolor": "none",
    "grid.color": LINE,
    "grid.linewidth": 0.8,
    "xtick.color": LINE,
    "ytick.color": LINE,
    "xtick.labelcolor": MUTED,
    "ytick.labelcolor": MUTED,
    "legend.frameon": False,
    "legend.labelcolor": INK,
}
WIDTH, HEIGHT = 5.4, 2.9  # inches; at most 390 points wide, so that text stays readable on a phone


def plots(document: Document) -> list[dict[str, str]]:
    """The pictures that the document has data for: name, title, what it shows in words, svg."""
    drawings = [
        ("score", "Score with 95 % interval", _draw_scores, True),
        ("tasks", "Score by task", _draw_tasks, len(document["benchmarks"]["teacher"]["by_task"]) > 1),
        ("latency", "Latency of single requests", _draw_latency, True),
        ("loss", "Loss of the student in training", _draw_loss, any(_loss_series(document["history"]))),
    ]
    made = []
    for name, title, draw, wanted in drawings:
        if wanted:
            made.append({"name": name, "title": title, "svg": _svg(name, title, draw, document)})
    return made


def _svg(name: str, title: str, draw: Any, document: Document) -> str:
    """Draw on a new figure and make its SVG fit to stand in a page."""
    import matplotlib as mpl
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(WIDTH, HEIGHT), layout="constrained")
        FigureCanvasSVG(figure)
        draw(figure.add_subplot(), document)
        buffer = io.StringIO()
        figure.savefig(buffer, format="svg", transparent=True)
    return _embed(buffer.getvalue(), name, title)


def _embed(svg: str, name: str, title: str) -> str:
    """An SVG document as an element of a page: no prolog, no metadata, ids of its own, colours from the page."""
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    svg = re.sub(
        r'<svg [^>]*?viewBox="([^"]+)"[^>]*>', rf'<svg viewBox="\1" role="img" aria-label="{title}">', svg, count=1
    )
    svg = re.sub(r'(\bid="|url\(#|xlink:href="#)', rf"\g<1>{name}-", svg).replace("xlink:href", "href")
    svg = re.sub(
        r"font-family:[^;\"]*;?|font:\s*([\d.]+px)[^;\"]*", lambda m: f"font-size: {m[1]}" if m[1] else "", svg
    )
    for stand_in, variable in COLOURS.items():
        svg = svg.replace(stand_in, f"var({variable})")
    return svg


def _draw_scores(axes: Any, document: Document) -> None:
    """One line a model: score, interval, and the number beside it."""
    for y, role in enumerate(reversed(ROLES)):
        benchmark = document["benchmarks"][role]
        score, (low, high) = benchmark["score"] * 100, (end * 100 for end in benchmark["interval"])
        axes.plot([low, high], [y, y], color=ROLE_COLOURS[role], linewidth=3, alpha=0.45, solid_capstyle="round")
        axes.plot([score], [y], "o", color=ROLE_COLOURS[role], markersize=8)
        axes.annotate(
            f"{score:.1f}", (score, y), (0, 9), textcoords="offset points", ha="center", color=INK, fontsize=10
        )
    axes.set_yticks(range(len(ROLES)), [role.capitalize() for role in reversed(ROLES)])
    axes.tick_params(axis="y", length=0, labelcolor=INK)
    axes.set_ylim(-0.5, len(ROLES) - 0.4)
    axes.set_xlim(-3, 103)
    axes.set_xlabel("score in % of the items")
    axes.grid(axis="x")
    axes.spines["left"].set_visible(False)


def _draw_tasks(axes: Any, document: Document) -> None:
    """Bars grouped by task, with intervals."""
    tasks = list(document["benchmarks"]["teacher"]["by_task"])
    width = 0.26
    for position, role in enumerate(ROLES):
        found = [document["benchmarks"][role]["by_task"][task] for task in tasks]
        x = [i + (position - 1) * width for i in range(len(tasks))]
        heights = [f["score"] * 100 for f in found]
        errors = [
            [max(0.0, h - f["interval"][0] * 100) for h, f in zip(heights, found, strict=True)],
            [max(0.0, f["interval"][1] * 100 - h) for h, f in zip(heights, found, strict=True)],
        ]
        axes.bar(x, heights, width * 0.9, color=ROLE_COLOURS[role], label=role.capitalize())
        axes.errorbar(x, heights, yerr=errors, fmt="none", ecolor=INK, elinewidth=1, capsize=2)
    counts = [document["benchmarks"]["teacher"]["by_task"][task]["items"] for task in tasks]
    crowded = {"fontsize": "small"} if len(tasks) > 4 else {}
    axes.set_xticks(range(len(tasks)), [f"{t}\n{n:,} items" for t, n in zip(tasks, counts, strict=True)], **crowded)
    axes.tick_params(axis="x", length=0, labelcolor=INK)
    axes.set_ylim(0, 105)
    axes.set_ylabel("score in %")
    axes.grid(axis="y")
    axes.legend(ncols=3, loc="lower center", bbox_to_anchor=(0.5, 1), columnspacing=1.2, handlelength=1)


def _draw_latency(axes: Any, document: Document) -> None:
    """Share of requests that were answered within a time, one step line a model."""
    slowest, quickest = 0.0, float("inf")
    for role in ROLES:
        times = sorted(document["benchmarks"][role]["speed"]["latencies_ms"])
        slowest, quickest = max(slowest, times[-1]), min(quickest, times[0])
        shares = [100 * (i + 1) / len(times) for i in range(len(times))]
        axes.step(
            [times[0], *times],
            [0, *shares],
            where="post",
            color=ROLE_COLOURS[role],
            linewidth=2,
            label=role.capitalize(),
        )
    if slowest > 8 * quickest:
        from matplotlib.ticker import LogLocator, NullFormatter, StrMethodFormatter

        axes.set_xscale("log")
        axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.xaxis.set_major_formatter(StrMethodFormatter("{x:,g}"))
        axes.xaxis.set_minor_formatter(NullFormatter())
        axes.minorticks_off()
    axes.set_ylim(0, 104)
    axes.set_xlabel("milliseconds")
    axes.set_ylabel("% answered within")
    axes.grid()
    axes.legend(ncols=3, loc="lower center", bbox_to_anchor=(0.5, 1), columnspacing=1.2, handlelength=1)


def _loss_series(history: Sequence[Mapping[str, Any]]) -> tuple[list[tuple[float, float]], list[tuple[float, float]]]:
    """(step, loss) in training and in validation; entries without either are other events."""
    training = [(e["step"], e["loss"]) for e in history if "step" in e and e.get("loss") is not None]
    validation = [
        (e["step"], e["validation_loss"]) for e in history if "step" in e and e.get("validation_loss") is not None
    ]
    return training, validation


def _draw_loss(axes: Any, document: Document) -> None:
    """Both losses over the optimizer's steps."""
    training, validation = _loss_series(document["history"])
    for series, colour, marker, label in ((training, MUTED, "", "Training"), (validation, STUDENT, "o", "Validation")):
        if series:
            axes.plot(*zip(*series, strict=True), color=colour, linewidth=2, marker=marker, markersize=4, label=label)
    axes.set_ylim(bottom=0)
    axes.set_xlabel("optimizer step")
    axes.set_ylabel("loss in nats per token")
    axes.grid()
    axes.legend(ncols=2, loc="lower center", bbox_to_anchor=(0.5, 1), columnspacing=1.2, handlelength=1.5)
