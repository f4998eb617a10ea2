"""What people want to know of a set: how much was accepted, how the labels lie, how often gold agrees, what filters do.

{"acceptance": 0.93, "gold_agreement": 0.88, "gold_agreement_kept": 0.91, "rows_with_gold": 900,
 "labels_before": {"neutral": 320, …}, "labels_after": {"neutral": 300, …}, "label_shift": {"total_variation": 0.02, …},
 "against_gold": {"right": 800, "wrong": 100, "filters": {"refusal": {"right": 0, "wrong": 12}, …}}}
"""

from collections import Counter, defaultdict
from typing import Any

import pyarrow as pa

from distill_dagster.quality.examples.balance import label_shift
from distill_dagster.quality.examples.rows import pc, value_counts
from distill_dagster.quality.filters.filters import FILTERS, Candidate

PAST_FILTERS = ("duplicate_prompt", "near_duplicate", "repeated_row")  # reasons that come after the filters


class Tally:
    """Counts over the judged answers to training rows, which are those that came back."""

    def __init__(self) -> None:
        self.teacher_rows = 0
        self.labels: Counter[str] = Counter()
        self.scores = 0.0
        self.with_gold = 0
        self.outcomes: Counter[str] = Counter()  # right, wrong
        self.refused: dict[str, Counter[str]] = defaultdict(Counter)  # reason -> right, wrong

    def count(self, candidate: Candidate | None, score: float | None, reason: str | None) -> None:
        """One teacher row with its score against gold, if there is any, and the reason for which it was refused.

        A filter is asked about every answer with gold, also about one that another filter has refused already.
        """
        self.teacher_rows += 1
        if candidate is None or candidate.raw["split"] != "train" or candidate.teacher["status"] != "ok":
            return
        if candidate.answer is not None and (label := candidate.task.label(candidate.answer)) is not None:
            self.labels[label] += 1
        if score is None:
            return
        self.scores += score
        self.with_gold += 1
        if candidate.task.exact:
            outcome = outcome_of(score)
            self.outcomes[outcome] += 1
            for name in _reasons(candidate, reason):
                self.refused[name][outcome] += 1


def _reasons(candidate: Candidate, reason: str | None) -> set[str]:
    """The first reason, and those of all filters; a row that came past them has none of theirs."""
    if reason is None:
        return set()
    if reason in PAST_FILTERS:
        return {reason}
    return {reason} | {found for keep in FILTERS if (found := keep(candidate)) is not None}


def outcome_of(score: float) -> str:
    """The name of a score of a task with one right answer."""
    return "right" if score == 1 else "wrong"


def facts_of(tally: Tally, examples: pa.Table, exact: set[str]) -> dict[str, Any]:
    """Shares are 0 … 1 and None where nothing was to be counted; labels and gold are those of the training split.

    `gold_agreement` is the mean task score of all answers to rows with gold answers, before any filter;
    `gold_agreement_kept` is that of the kept ones, which became examples. Failed requests are no answers, unparsable
    ones score 0. `exact` names the tasks whose answers are right or wrong.
    """
    train = examples.filter(pc.equal(examples.column("split"), "train"))
    kept = train.column("gold_score").drop_null().to_pylist()
    before, after = _ordered(tally.labels), _ordered(value_counts(train.column("label")))
    return {
        "acceptance": len(examples) / tally.teacher_rows if tally.teacher_rows else None,
        "gold_agreement": tally.scores / tally.with_gold if tally.with_gold else None,
        "gold_agreement_kept": sum(kept) / len(kept) if kept else None,
        "rows_with_gold": tally.with_gold,
        "labels_before": before,
        "labels_after": after,
        "label_shift": label_shift(before, after),
        "against_gold": _against_gold(tally, train, exact),
        "flags": dict(sorted(value_counts(pc.list_flatten(examples.column("flags"))).items())),
    }


def _against_gold(tally: Tally, train: pa.Table, exact: set[str]) -> dict[str, Any]:
    """For each filter, reason and flag: how many right and how many wrong answers it refuses, or marks."""
    judged = train.filter(pc.is_in(train.column("task"), pa.array(sorted(exact), pa.string())))
    judged = judged.filter(pc.is_valid(judged.column("gold_score"))).select(["gold_score", "flags"])
    flagged: dict[str, Counter[str]] = defaultdict(Counter)
    for row in judged.filter(pc.greater(pc.list_value_length(judged.column("flags")), 0)).to_pylist():
        for flag in row["flags"]:
            flagged[flag][outcome_of(row["gold_score"])] += 1
    names = [*(keep.__name__ for keep in FILTERS[1:]), *sorted(tally.refused)]  # `failed` is no answer
    return {
        "right": tally.outcomes["right"],
        "wrong": tally.outcomes["wrong"],
        "filters": {name: _both(tally.refused[name]) for name in dict.fromkeys(names)},
        "flags": {name: _both(counts) for name, counts in sorted(flagged.items())},
    }


def _both(counts: Counter[str]) -> dict[str, int]:
    return {"right": counts["right"], "wrong": counts["wrong"]}


def _ordered(counts: Counter[str]) -> dict[str, int]:
    """Labels with their counts, the most frequent first."""
    return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))
