"""What the report says of a sweep: its trials as pictures, a table and a sentence.

The pictures hold numbers, names of settings and their values. The names are fields of the config, the values numbers or
words of the config, so nothing that a user wrote freely enters them.
"""

import math
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

from distill_dagster.config.sweep import in_words
from distill_dagster.report.document import ReportDocument
from distill_dagster.report.numbers import DASH, duration
from distill_dagster.report.palette import INK, LINE, MUTED, STUDENT
from distill_dagster.tuning.specs import Trial
from distill_dagster.tuning.table import best_of, by_loss

ROWS = 10
LOG_FROM = 30  # a setting whose greatest value is so many times its least one has a logarithmic scale
TEXT_FROM = 5  # so many settings need small text


def sentence(trials: Sequence[Trial]) -> str:
    """How many trials there were, and what they were compared by."""
    outcomes = Counter(trial.outcome for trial in trials)
    listed = ", ".join(f"{count:,} {outcome}" for outcome, count in outcomes.most_common())
    steps, seconds = sum(trial.steps for trial in trials), sum(trial.seconds for trial in trials)
    best = best_of(trials)
    chosen = f" Trial {best.number} is the student." if best else ""
    return (
        f"{len(trials):,} trials ({listed}), {steps:,} steps in {duration(1000 * seconds)}, compared by their "
        f"validation losses. No trial read a held-out row.{chosen}"
    )


def rows(trials: Sequence[Trial]) -> list[list[str]]:
    """The best trials: number, outcome, validation loss, steps, settings."""
    return [
        [
            str(trial.number),
            trial.outcome if trial.same_as is None else f"as trial {trial.same_as}",
            DASH if trial.validation_loss is None else f"{trial.validation_loss:.4g}",
            f"{trial.steps:,}",
            in_words(trial.point),
        ]
        for trial in by_loss(trials)[:ROWS]
    ]


def draw_trials(axes: Any, document: ReportDocument) -> None:
    """The validation loss of each trial, and the best one so far as a line; pruned trials at their last loss."""
    complete = [trial for trial in document.trials if trial.validation_loss is not None]
    pruned = [trial for trial in document.trials if trial.outcome == "pruned" and trial.losses]
    best = [min(float(t.validation_loss or 0) for t in complete[: i + 1]) for i in range(len(complete))]
    end = [*(trial.number for trial in complete), len(document.trials) - 1]
    axes.step(end, [*best, best[-1]], where="post", color=STUDENT, linewidth=2, label="Best so far")
    axes.plot(*_points(complete, lambda t: t.validation_loss), "o", color=INK, markersize=4, label="Complete")
    if pruned:
        axes.plot(*_points(pruned, lambda t: t.losses[-1]), "x", color=MUTED, markersize=5, label="Pruned")
    axes.set_xlabel("trial")
    axes.set_ylabel("validation loss")
    axes.xaxis.get_major_locator().set_params(integer=True)
    axes.grid()
    axes.legend(ncols=3, loc="lower center", bbox_to_anchor=(0.5, 1), columnspacing=1.2, handlelength=1)


def _points(trials: Sequence[Trial], loss: Callable[[Trial], Any]) -> tuple[list[int], list[float]]:
    return [trial.number for trial in trials], [loss(trial) for trial in trials]


def draw_settings(axes: Any, document: ReportDocument) -> None:
    """An upright axis for each setting, and one for the loss; a line for each complete trial, the best in colour."""
    complete = [trial for trial in reversed(by_loss(document.trials)) if trial.validation_loss is not None]
    names = list(complete[0].point)
    columns = [_scaled([trial.point[name] for trial in complete]) for name in names]
    columns.append(_scaled([trial.validation_loss for trial in complete]))
    places = range(len(columns))
    for i, trial in enumerate(complete):
        is_best = trial is complete[-1]
        look = {"color": STUDENT, "linewidth": 2.5} if is_best else {"color": MUTED, "linewidth": 1, "alpha": 0.5}
        axes.plot(places, [heights[i] for heights, _ in columns], marker="o", markersize=3, **look)
    size = 7 if len(columns) > TEXT_FROM else 8.5
    for x, (_, ticks) in enumerate(columns):
        axes.axvline(x, color=LINE, linewidth=1, zorder=0)
        for height, text in ticks:
            offset, align = _beside(height)
            axes.annotate(text, (x, height), offset, textcoords="offset points", fontsize=size, color=INK, **align)
    labels = [name.replace(".", ".\n").replace("_", "_\n") for name in names]
    axes.set_xticks(places, [*labels, "loss"], fontsize=size)
    axes.set_yticks([])
    axes.set_xlim(-0.4, len(columns) - 0.6)
    axes.set_ylim(-0.16, 1.14)
    axes.spines["left"].set_visible(False)
    axes.spines["bottom"].set_visible(False)
    axes.tick_params(axis="x", length=0, labelcolor=INK)


def _beside(height: float) -> tuple[tuple[int, int], dict[str, Any]]:
    """Where a text stands: above the axis at its end, below it at its beginning, else to the right of it."""
    if height in (0.0, 1.0):
        return (0, 6 if height else -6), {"ha": "center", "va": "bottom" if height else "top"}
    return (4, 0), {"ha": "left", "va": "center"}


Column = tuple[list[float], list[tuple[float, str]]]  # heights from 0 to 1, and texts at heights


def _scaled(values: Sequence[Any]) -> Column:
    """Numbers between their least and greatest one, on a logarithmic scale if they differ much; words evenly spaced."""
    if not all(isinstance(value, int | float) for value in values):
        words = sorted({_word(value) for value in values})
        heights = {word: i / max(1, len(words) - 1) for i, word in enumerate(words)}
        return [heights[_word(value)] for value in values], [(height, word) for word, height in heights.items()]
    low, high = min(values), max(values)
    if low == high:
        return [0.5 for _ in values], [(0.5, f"{low:.3g}")]
    scale = math.log if low > 0 and high / low >= LOG_FROM else float
    bottom, top = scale(low), scale(high)
    heights = [(scale(value) - bottom) / (top - bottom) for value in values]
    return heights, [(0.0, f"{low:.3g}"), (1.0, f"{high:.3g}")]


def _word(value: Any) -> str:
    """A word of the config, or layer pairs as `1:2 2:4`."""
    return value if isinstance(value, str) else " ".join(f"{student}:{teacher}" for student, teacher in value) or "none"
