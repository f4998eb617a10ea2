"""What people want to know of a set: how much was accepted, how the labels lie, how often gold agrees.

{"acceptance": 0.93, "gold_agreement": 0.88, "gold_agreement_kept": 0.91, "rows_with_gold": 900,
 "labels_before": {"neutral": 320, …}, "labels_after": {"neutral": 300, …}}
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

from distill_dagster.quality.filters import Candidate


def facts_of(teacher_rows: int, judged: Sequence[Candidate], kept: Sequence[Candidate]) -> dict[str, Any]:
    """Shares are 0 … 1 and None where nothing was to be counted; labels and gold are those of the training split.

    `gold_agreement` is the mean task score of all answers to rows with gold answers, before any filter;
    `gold_agreement_kept` is that of the kept ones, which became examples. Failed requests are no answers, unparsable
    ones score 0.
    """
    answered = [c for c in judged if c.raw["split"] == "train" and c.teacher["status"] == "ok"]
    train = [c for c in kept if c.raw["split"] == "train"]
    scores: dict[tuple[Any, ...], float] = {}  # most answers are kept: ROUGE is taken once of each

    def score(c: Candidate) -> float:
        key = (c.task.name, c.answer, *c.reference)
        if key not in scores:
            scores[key] = c.task.score(c.answer, c.reference)
        return scores[key]

    before = [score(c) for c in answered if c.reference]
    after = [score(c) for c in train if c.reference]
    return {
        "acceptance": len(kept) / teacher_rows if teacher_rows else None,
        "gold_agreement": _mean(before),
        "gold_agreement_kept": _mean(after),
        "rows_with_gold": len(before),
        "labels_before": _distribution(answered),
        "labels_after": _distribution(train),
    }


def _mean(scores: Sequence[float]) -> float | None:
    return sum(scores) / len(scores) if scores else None


def _distribution(candidates: Iterable[Candidate]) -> dict[str, int]:
    """Labels with their counts, the most frequent first."""
    labels = [c.task.label(c.answer) for c in candidates if c.answer is not None]
    counts = Counter(label for label in labels if label is not None)
    return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))
