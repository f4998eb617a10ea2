"""The report's pictures, as SVG elements for an HTML page.

matplotlib draws with fixed placeholder colours. They are then replaced by CSS variables (`var(--ink)`), so that the
same picture is legible on a light and on a dark page. Text stays text, in the page's font. The pictures hold only
numbers, roles and task names; nothing that a user wrote enters them.
"""

import io
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from distill_dagster.config import ROLES
from distill_dagster.report import sweep
from distill_dagster.report.document import ReportDocument
from distill_dagster.report.palette import COLOURS, INK, LINE, MUTED, ROLE_COLOURS, STUDENT

Draw = Callable[[Any, ReportDocument], None]  # on matplotlib's axes

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


def plots(document: ReportDocument) -> list[dict[str, str]]:
    """The pictures that the document has data for: name, title, svg."""
    several_tasks = len(document.benchmarks["teacher"].by_task) > 1
    complete = sum(trial.validation_loss is not None for trial in document.trials)
    drawings: list[tuple[str, str, Draw, bool]] = [
        ("score", "Score with 95 % interval", _draw_scores, True),
        ("tasks", "Score by task", _draw_tasks, several_tasks),
        ("latency", "Latency of single requests", _draw_latency, document.speed is not None),
        ("loss", "Loss of the student in training", _draw_loss, any(_loss_series(document.history))),
        ("trials", "Validation loss of the sweep's trials", sweep.draw_trials, complete > 0),
        ("settings", "Settings of the sweep's complete trials", sweep.draw_settings, complete > 1),
    ]
    return [
        {"name": name, "title": title, "svg": _svg(name, title, draw, document)}
        for name, title, draw, wanted in drawings
        if wanted
    ]


def _svg(name: str, title: str, draw: Draw, document: ReportDocument) -> str:
    """Draw on a new figure, and return its SVG as an element of a page."""
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
    """Turn an SVG document into an element of a page.

    The prolog and the metadata go, ids get a prefix of their own, and colours and fonts come from the page.
    """
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    svg = re.sub(
        r'<svg [^>]*?viewBox="([^"]+)"[^>]*>', rf'<svg viewBox="\1" role="img" aria-label="{title}">', svg, count=1
    )
    svg = re.sub(r'(\bid="|url\(#|xlink:href="#)', rf"\g<1>{name}-", svg).replace("xlink:href", "href")
    svg = re.sub(
        r"font-family:[^;\"]*;?|font:\s*([\d.]+px)[^;\"]*", lambda m: f"font-size: {m[1]}" if m[1] else "", svg
    )
    for placeholder, variable in COLOURS.items():
        svg = svg.replace(placeholder, f"var({variable})")
    return svg


def _draw_scores(axes: Any, document: ReportDocument) -> None:
    """One line a model: its score as a point with the number above it, on its interval."""
    models = document.models
    for y, (role, benchmark) in enumerate(reversed(models.items())):
        score, (low, high) = benchmark.score * 100, (end * 100 for end in benchmark.interval)
        axes.plot([low, high], [y, y], color=ROLE_COLOURS[role], linewidth=3, alpha=0.45, solid_capstyle="round")
        axes.plot([score], [y], "o", color=ROLE_COLOURS[role], markersize=8)
        axes.annotate(
            f"{score:.1f}", (score, y), (0, 9), textcoords="offset points", ha="center", color=INK, fontsize=10
        )
    axes.set_yticks(range(len(models)), list(map(_name, reversed(models))))
    axes.tick_params(axis="y", length=0, labelcolor=INK)
    axes.set_ylim(-0.5, len(models) - 0.4)
    axes.set_xlim(-3, 103)
    axes.set_xlabel("score in % of the items")
    axes.grid(axis="x")
    axes.spines["left"].set_visible(False)


def _name(role: str) -> str:
    return role.replace("_", " ").capitalize()


def _draw_tasks(axes: Any, document: ReportDocument) -> None:
    """Bars grouped by task, with intervals."""
    tasks = list(document.benchmarks["teacher"].by_task)
    models = document.models
    width = 0.78 / len(models)
    for position, (role, model) in enumerate(models.items()):
        found = [model.by_task[task] for task in tasks]
        x = [i + (position - (len(models) - 1) / 2) * width for i in range(len(tasks))]
        heights = [f.score * 100 for f in found]
        errors = [
            [max(0.0, h - f.interval[0] * 100) for h, f in zip(heights, found, strict=True)],
            [max(0.0, f.interval[1] * 100 - h) for h, f in zip(heights, found, strict=True)],
        ]
        axes.bar(x, heights, width * 0.9, color=ROLE_COLOURS[role], label=_name(role))
        axes.errorbar(x, heights, yerr=errors, fmt="none", ecolor=INK, elinewidth=1, capsize=2)
    counts = [document.benchmarks["teacher"].by_task[task].items for task in tasks]
    crowded = {"fontsize": "small"} if len(tasks) > 4 else {}
    axes.set_xticks(range(len(tasks)), [f"{t}\n{n:,} items" for t, n in zip(tasks, counts, strict=True)], **crowded)
    axes.tick_params(axis="x", length=0, labelcolor=INK)
    axes.set_ylim(0, 105)
    axes.set_ylabel("score in %")
    axes.grid(axis="y")
    axes.legend(ncols=len(models), loc="lower center", bbox_to_anchor=(0.5, 1), columnspacing=1.2, handlelength=1)


def _draw_latency(axes: Any, document: ReportDocument) -> None:
    """The share of requests that were answered within a time, one step line a model."""
    slowest, quickest = 0.0, float("inf")
    for role in ROLES:
        timed = document.speed.model(role) if document.speed else None
        times = sorted(timed.latencies_ms) if timed else []
        if not times:
            axes.plot([], [], color=ROLE_COLOURS[role], label=f"{role.capitalize()}: not measured")
            continue
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
    """(step, loss) in training and in validation; entries without a loss are other events."""
    training = [(e["step"], e["loss"]) for e in history if "step" in e and e.get("loss") is not None]
    validation = [
        (e["step"], e["validation_loss"]) for e in history if "step" in e and e.get("validation_loss") is not None
    ]
    return training, validation


def _draw_loss(axes: Any, document: ReportDocument) -> None:
    """The training and the validation loss over the optimizer's steps."""
    training, validation = _loss_series(document.history)
    for series, colour, marker, label in ((training, MUTED, "", "Training"), (validation, STUDENT, "o", "Validation")):
        if series:
            axes.plot(*zip(*series, strict=True), color=colour, linewidth=2, marker=marker, markersize=4, label=label)
    axes.set_ylim(bottom=0)
    axes.set_xlabel("optimizer step")
    axes.set_ylabel("loss in nats per token")
    axes.grid()
    axes.legend(ncols=2, loc="lower center", bbox_to_anchor=(0.5, 1), columnspacing=1.2, handlelength=1.5)
