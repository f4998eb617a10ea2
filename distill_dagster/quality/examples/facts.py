"""The facts of a set: how much was accepted, the labels, agreement with gold, and what each filter refuses.

{"acceptance": 0.93, "gold_agreement": 0.88, "gold_agreement_kept": 0.91, "rows_with_gold": 900,
 "labels_before": {"neutral": 320, …}, "labels_after": {"neutral": 300, …}, "label_shift": {"total_variation": 0.02, …},
 "against_gold": {"right": 800, "wrong": 100, "filters": {"refusal": {"right": 0, "wrong": 12}, …}}}
"""

from collections import Counter, defaultdict

import pyarrow as pa

from distill_dagster.quality.columns import pc, value_counts
from distill_dagster.quality.duplicates.prompt_index import PromptIndex
from distill_dagster.quality.examples.balance import label_shift
from distill_dagster.quality.examples.diversity import prompt_diversity
from distill_dagster.quality.examples.example_table import Examples
from distill_dagster.quality.filters.reasons import AFTER_FILTERS
from distill_dagster.quality.filters.row_filters import FILTERS, Candidate
from distill_dagster.quality.specs import AgainstGold, Contamination, RightWrong, SetFacts
from distill_dagster.tasks import get_task


class SetTally:
    """Counts over the answers to training rows; a failed request is not an answer."""

    def __init__(self) -> None:
        self.teacher_rows = 0
        self.labels: Counter[str] = Counter()
        self.scores = 0.0
        self.with_gold = 0
        self.outcomes: Counter[str] = Counter()  # right, wrong
        self.refused: dict[str, Counter[str]] = defaultdict(Counter)  # reason -> right, wrong

    def count(self, candidate: Candidate | None, score: float | None, reason: str | None) -> None:
        """Count one teacher row, with its score against gold if there is one, and the reason for its refusal if any.

        Every filter looks at every answer with gold, even at one that another filter has refused.
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
    """The first reason and those of all filters; a row with a reason that follows the filters passed all of them."""
    if reason is None:
        return set()
    if reason in AFTER_FILTERS:
        return {reason}
    return {reason} | {found for keep in FILTERS if (found := keep(candidate)) is not None}


def outcome_of(score: float) -> str:
    """The name of a score in a task with one right answer."""
    return "right" if score == 1 else "wrong"


def facts_of(table: pa.Table, tally: SetTally, examples: Examples, index: PromptIndex, answers: int) -> SetFacts:
    """The facts of the examples in `table` (schemas.EXAMPLE); `answers` counts the teacher rows that did not fail."""
    train = table.filter(pc.equal(table.column("split"), "train"))
    kept = train.column("gold_score").drop_null().to_pylist()
    before, after = _ordered(tally.labels), _ordered(value_counts(train.column("label")))
    exact = {task for task in index.raw.column("task").unique().to_pylist() if get_task(task).exact}
    return SetFacts(
        acceptance=len(table) / tally.teacher_rows if tally.teacher_rows else None,
        gold_agreement=tally.scores / tally.with_gold if tally.with_gold else None,
        gold_agreement_kept=sum(kept) / len(kept) if kept else None,
        rows_with_gold=tally.with_gold,
        answers=answers,
        labels_before=before,
        labels_after=after,
        label_rows=examples.label_rows,
        rare_labels=examples.rare_labels,
        label_shift=label_shift(before, after),
        against_gold=_against_gold(tally, train, exact),
        flags=dict(sorted(value_counts(pc.list_flatten(table.column("flags"))).items())),
        contamination=_contamination(index),
        prompts=prompt_diversity(table),
    )


def _against_gold(tally: SetTally, train: pa.Table, exact: set[str]) -> AgainstGold:
    """For each filter and reason, the right and wrong answers that it refuses; for each flag, those that have it."""
    judged = train.filter(pc.is_in(train.column("task"), pa.array(sorted(exact), pa.string())))
    judged = judged.filter(pc.is_valid(judged.column("gold_score"))).select(["gold_score", "flags"])
    flagged: dict[str, Counter[str]] = defaultdict(Counter)
    for row in judged.filter(pc.greater(pc.list_value_length(judged.column("flags")), 0)).to_pylist():
        for flag in row["flags"]:
            flagged[flag][outcome_of(row["gold_score"])] += 1
    names = [*(keep.__name__ for keep in FILTERS[1:]), *sorted(tally.refused)]  # `failed` refuses no answer
    return AgainstGold(
        right=tally.outcomes["right"],
        wrong=tally.outcomes["wrong"],
        filters={name: _right_wrong(tally.refused[name]) for name in dict.fromkeys(names)},
        flags={name: _right_wrong(counts) for name, counts in sorted(flagged.items())},
    )


def _right_wrong(counts: Counter[str]) -> RightWrong:
    return RightWrong(right=counts["right"], wrong=counts["wrong"])


def _contamination(index: PromptIndex) -> Contamination:
    rules = Counter(match.rule for match in index.contaminated.values())
    items = sum(held_out.items for held_out in index.held_out)
    unseen = sum(held_out.unseen for held_out in index.held_out)
    near = any(held_out.near for held_out in index.held_out)
    return Contamination(
        held_out_items=items,
        contaminated_questions=dict(sorted(rules.items())),
        not_seen_by_ngrams=(unseen / items if items else None) if near else None,
        copied_test_rows=sorted(_copied(index)),
    )


def _copied(index: PromptIndex) -> set[str]:
    """The ids of the test rows that a row copies; rows whose id is that of others do not count."""
    tests = [held_out for held_out in index.held_out if held_out.what == "test"]
    return {name for held in tests for n, names in held.copied.items() if n not in index.conflicts for name in names}


def _ordered(counts: Counter[str]) -> dict[str, int]:
    """Labels with their counts, the most frequent first."""
    return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))
