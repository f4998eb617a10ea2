"""The chance level: what a model would score that reads no prompt. A teacher that does not beat it teaches nothing.

    gold      neutral   neutral   entailment   contradiction
    majority  neutral   neutral   neutral      neutral          0.50     the most frequent gold answer for every row
    another   the gold answer of another row, drawn             –        in tasks without labels

A label that is drawn at random scores at most as much as the majority class, so it is no level of its own. The levels
are scored as the teacher's answers are, and the highest counts. The teacher is above it if the lower end of its score's
95 % interval is.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from distill_dagster.evaluation.items import item_scores
from distill_dagster.evaluation.metrics import by_task
from distill_dagster.evaluation.specs import Benchmark
from distill_dagster.tasks import Task, get_task
from distill_dagster.tasks.labels import label_key

SEED = 0
MOST = 500  # rows that get another row's answer: long texts take time to compare
Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Chance:
    """A task's chance level, 0 … 1, and who would score it: `always answering 'neutral'`."""

    score: float
    who: str


@dataclass(frozen=True, slots=True)
class Standing:
    """A teacher's score on one task beside the chance level."""

    task: str
    score: float
    low: float
    high: float
    chance: Chance

    @property
    def is_above(self) -> bool:
        """Whether the whole interval is above the chance level."""
        return self.low > self.chance.score

    @property
    def is_below(self) -> bool:
        """Whether the whole interval is below it."""
        return self.high < self.chance.score

    def __str__(self) -> str:
        score = f"the teacher scores {self.score:.1%} on {self.task} (95 % interval {self.low:.1%} to {self.high:.1%})"
        relation = "above" if self.is_above else "below" if self.is_below else "which is not shown to be above"
        return f"{score}, {relation} the {self.chance.score:.1%} of {self.chance.who}"


def standings(benchmark: Benchmark, predictions: Sequence[Row]) -> list[Standing]:
    """A benchmark beside the chance level of each of its tasks; `predictions` are its rows (`schemas.PREDICTION`)."""
    return [
        Standing(task, score.score, *score.interval, chance_level(task, rows, benchmark.labels))
        for task, rows in by_task(predictions).items()
        if (score := benchmark.by_task.get(task))
    ]


def chance_level(task: str, rows: Sequence[Row], labels: Sequence[str] | None = None) -> Chance:
    """The chance level on prediction rows of one task, each with gold answers; `labels` as in the benchmark."""
    kind = get_task(task)
    most, count = _most_frequent([text.strip() for row in rows for text in row["reference"]], kind, labels)
    found: list[Chance] = []
    if kind.labelled or count > 1:
        found.append(Chance(_score(kind, rows, [most] * len(rows), labels), f"always answering {_short(most)!r}"))
    if not kind.labelled:
        found.append(_another(kind, rows, labels))
    return max(found, key=lambda chance: chance.score)


def _most_frequent(golds: Sequence[str], task: Task, labels: Sequence[str] | None) -> tuple[str, int]:
    """The most frequent gold answer and how often it occurs; spellings of one label count as one."""
    keys = [label_key(gold, labels or task.labels) if task.labelled else gold for gold in golds]
    key, count = Counter(keys).most_common(1)[0]
    return golds[keys.index(key)], count


def _another(task: Task, rows: Sequence[Row], labels: Sequence[str] | None) -> Chance:
    """The score of giving each row the first gold answer of the next one in a drawn order, of at most `MOST` rows."""
    drawn = [rows[i] for i in np.random.default_rng(SEED).permutation(len(rows))[:MOST]]
    others = [row["reference"][0] for row in (*drawn[1:], drawn[0])] if len(drawn) > 1 else [""]
    return Chance(_score(task, drawn, others, labels), "giving the gold answer of another row")


def _score(task: Task, rows: Sequence[Row], answers: Sequence[str], labels: Sequence[str] | None) -> float:
    """The mean over items of these answers' scores."""
    scored = [
        {"row_id": row["row_id"], "score": task.score(answer, row["reference"], labels)}
        for row, answer in zip(rows, answers, strict=True)
    ]
    scores = item_scores(scored)
    return sum(scores.values()) / len(scores)


def _short(text: str, most: int = 40) -> str:
    return text if len(text) <= most else text[: most - 1] + "…"
