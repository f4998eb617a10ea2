"""The facts of a set: how much was accepted, the labels, agreement with gold, and what each filter refuses.

{"acceptance": 0.93, "gold_agreement": 0.88, "gold_agreement_kept": 0.91, "rows_with_gold": 900,
 "labels_before": {"neutral": 320, …}, "labels_after": {"neutral": 300, …}, "label_shift": {"total_variation": 0.02, …},
 "against_gold": {"right": 800, "wrong": 100, "filters": {"refusal": {"right": 0, "wrong": 12}, …}}}
"""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from typing import Any

import pyarrow as pa

from distill_dagster.quality.columns import pc, value_counts
from distill_dagster.quality.duplicates.prompt_index import PromptIndex
from distill_dagster.quality.examples.balance import label_shift
from distill_dagster.quality.examples.diversity import PromptSample
from distill_dagster.quality.examples.finishing import Examples
from distill_dagster.quality.filters.reasons import AFTER_FILTERS
from distill_dagster.quality.filters.row_filters import FILTERS, Candidate
from distill_dagster.quality.specs import AgainstGold, Contamination, RightWrong, SetFacts
from distill_dagster.tasks import get_task


class SetTally:
    """Counts over the answers to training rows; a failed request is not an answer."""

    def __init__(self) -> None:
        self.teacher_rows = 0
        self.answered = 0  # rows that are not failed requests, those of validation too
        self.labels: Counter[str] = Counter()
        self.scores = 0.0
        self.with_gold = 0
        self.outcomes: Counter[str] = Counter()  # right, wrong
        self.refused: dict[str, Counter[str]] = defaultdict(Counter)  # reason -> right, wrong

    def count(
        self, teacher: Mapping[str, Any], candidate: Candidate | None, score: float | None, reason: str | None
    ) -> None:
        """Count one teacher row, with its score against gold if there is one, and the reason for its refusal if any.

        Every filter looks at every answer with gold, even at one that another filter has refused.
        """
        self.teacher_rows += 1
        self.answered += teacher["status"] == "ok"
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
    """The first reason and those of all filters; a row with a reason that follows the filters passed all of them."""
    if reason is None:
        return set()
    if reason in AFTER_FILTERS:
        return {reason}
    return {reason} | {found for keep in FILTERS if (found := keep(candidate)) is not None}


def outcome_of(score: float) -> str:
    """The name of a score in a task with one right answer."""
    return "right" if score == 1 else "wrong"


class ExampleTally:
    """Counts over the examples (schemas.EXAMPLE), which come some at a time."""

    def __init__(self) -> None:
        self.examples = 0
        self.splits: Counter[str] = Counter()
        self.labels: Counter[str] = Counter()  # of training rows
        self.flags: Counter[str] = Counter()
        self.flagged: dict[str, Counter[str]] = defaultdict(Counter)  # flag -> right, wrong
        self.prompts = PromptSample()

    def add(self, table: pa.Table) -> None:
        """Count some examples."""
        train = table.filter(pc.equal(table.column("split"), "train"))
        self.examples += len(table)
        self.splits += value_counts(table.column("split"))
        self.labels += value_counts(train.column("label"))
        self.flags += value_counts(pc.list_flatten(table.column("flags")))
        self.prompts.add(train)
        judged = train.select(["task", "gold_score", "flags"]).filter(pc.is_valid(train.column("gold_score")))
        for row in judged.filter(pc.greater(pc.list_value_length(judged.column("flags")), 0)).to_pylist():
            for flag in row["flags"] if get_task(row["task"]).exact else ():
                self.flagged[flag][outcome_of(row["gold_score"])] += 1


def facts_of(
    tally: SetTally, found: ExampleTally, examples: Examples, index: PromptIndex, kept: Iterator[float]
) -> SetFacts:
    """The facts of a set; `kept` gives the gold scores of the training rows among the examples."""
    before, after = _ordered(tally.labels), _ordered(found.labels)
    return SetFacts(
        acceptance=found.examples / tally.teacher_rows if tally.teacher_rows else None,
        gold_agreement=tally.scores / tally.with_gold if tally.with_gold else None,
        gold_agreement_kept=_mean(kept),
        rows_with_gold=tally.with_gold,
        answers=tally.answered,
        labels_before=before,
        labels_after=after,
        label_rows=examples.label_rows,
        rare_labels=examples.rare_labels,
        label_shift=label_shift(before, after),
        against_gold=_against_gold(tally, found),
        flags=dict(sorted(found.flags.items())),
        contamination=_contamination(index),
        prompts=found.prompts.diversity(),
    )


def _mean(numbers: Iterator[float]) -> float | None:
    count = 0

    def counted() -> Iterator[float]:
        nonlocal count
        for number in numbers:
            count += 1
            yield number

    total = sum(counted())
    return total / count if count else None


def _against_gold(tally: SetTally, found: ExampleTally) -> AgainstGold:
    """For each filter and reason, the right and wrong answers that it refuses; for each flag, those that have it."""
    names = [*(keep.__name__ for keep in FILTERS[1:]), *sorted(tally.refused)]  # `failed` refuses no answer
    return AgainstGold(
        right=tally.outcomes["right"],
        wrong=tally.outcomes["wrong"],
        filters={name: _right_wrong(tally.refused[name]) for name in dict.fromkeys(names)},
        flags={name: _right_wrong(counts) for name, counts in sorted(found.flagged.items())},
    )


def _right_wrong(counts: Counter[str]) -> RightWrong:
    return RightWrong(right=counts["right"], wrong=counts["wrong"])


def _contamination(index: PromptIndex) -> Contamination:
    items = sum(len(held_out.items) for held_out in index.held_out)
    unseen = sum(held_out.unseen for held_out in index.held_out)
    near = any(held_out.near for held_out in index.held_out)
    test, _ = index.held_out
    return Contamination(
        held_out_items=items,
        contaminated_questions=dict(sorted(index.rules.items())),
        not_seen_by_ngrams=(unseen / items if items else None) if near else None,
        copied_test_rows=sorted(test.copied),
    )


def _ordered(counts: Counter[str]) -> dict[str, int]:
    """Labels with their counts, the most frequent first."""
    return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))
