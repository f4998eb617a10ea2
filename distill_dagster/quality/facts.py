"""What people want to know of a set: how much was accepted, how the labels lie, how often gold agrees.

{"acceptance": 0.93, "gold_agreement": 0.88, "gold_agreement_kept": 0.91, "rows_with_gold": 900,
 "labels_before": {"neutral": 320, …}, "labels_after": {"neutral": 300, …}}
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from distill_dagster.quality.filters import Candidate
from distill_dagster.tasks import Task, get_task


def facts_of(teacher_rows: int, judged: Sequence[Candidate], examples: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Shares are 0 … 1 and None where nothing was to be counted; labels and gold are those of the training split.

    `gold_agreement` is the mean task score of all answers to rows with gold answers, before any filter;
    `gold_agreement_kept` is that of the examples. Failed requests are no answers, unparsable ones score 0.
    """
    answered = [c for c in judged if c.raw["split"] == "train" and c.teacher["status"] == "ok"]
    train = [example for example in examples if example["split"] == "train"]
    scores: dict[tuple[Any, ...], float] = {}  # most answers are kept: ROUGE is taken once of each

    def score(task: Task, answer: str | None, reference: Sequence[str]) -> float:
        key = (task.name, answer, *reference)
        if key not in scores:
            scores[key] = task.score(answer, reference)
        return scores[key]

    before = [score(c.task, c.answer, c.reference) for c in answered if c.reference]
    after = [score(get_task(e["task"]), e["answer"], e["reference"]) for e in train if e["reference"]]
    return {
        "acceptance": len(examples) / teacher_rows if teacher_rows else None,
        "gold_agreement": _mean(before),
        "gold_agreement_kept": _mean(after),
        "rows_with_gold": len(before),
        "labels_before": _distribution(c.task.label(c.answer) for c in answered if c.answer is not None),
        "labels_after": _distribution(e["label"] for e in train),
    }


def _mean(scores: Sequence[float]) -> float | None:
    return sum(scores) / len(scores) if scores else None


def _distribution(labels: Iterable[str | None]) -> dict[str, int]:
    """Labels with their counts, the most frequent first."""
    counts = Counter(label for label in labels if label is not None)
    return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))
