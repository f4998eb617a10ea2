"""The set that the student learns: teacher rows that are answers, once each, and not what the test asks.

    raw row      row_id "a", messages [user "Premise: … Hypothesis: …"], reference ["neutral"]
    teacher row  row_id "a", sample 0, turn 0, raw_text "Label: Neutral."
    example      row_id "a", sample 0, turn 0, messages [user …], answer "neutral", label "neutral"

A text is read with the prompting that its teacher row was asked with. The example keeps the row's own messages: the
student is trained with the user's system prompt, and never sees the one that asked the teacher for JSON. With
`learn: reasoning_and_answer` its answer is "The premise is silent on it.\\n\\nAnswer: neutral".

Every teacher row becomes one example or one reject: teacher_rows == examples + rejected. The order of the inputs
does not matter. A row's first reason counts, in this order:

    unknown_row     no raw row has this id and turn
    E011            the id belongs to two different raw rows, so nobody can say which one was answered
    contaminated    a held-out row asks it too (E012), see contamination.py
    earlier_turn    an earlier turn of this conversation was refused, so the teacher built on what is gone
    …               the row filters, see filters.py
    repeated_row    the same row, sample and turn is in the set already
    duplicate_prompt  another row asks the same (E011); the first by row id stays
    near_duplicate  another row asks nearly the same (E011), see near_duplicates.py; the first by row id stays
    label_cap       the label has its share (quality.max_label_share)

The raw rows are gone through twice, first to compare their questions (questions.py), then beside the teacher rows, both
in the order of row ids, so that no more than a block of either is in memory as anything but an Arrow table.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa

from distill_dagster.config import Learn, QualityConfig
from distill_dagster.process import uncollected
from distill_dagster.quality.duplicates.near import Answered
from distill_dagster.quality.duplicates.questions import Questions
from distill_dagster.quality.examples.diversity import prompt_diversity
from distill_dagster.quality.examples.examples import Examples
from distill_dagster.quality.examples.facts import Tally, facts_of
from distill_dagster.quality.examples.rows import (
    RAW,
    TEACHER,
    TEACHER_ORDER,
    Growing,
    Rows,
    ordered,
    pc,
    table_of,
    value_counts,
    walk,
)
from distill_dagster.quality.filters.candidate import Candidate, candidate_of
from distill_dagster.quality.filters.filters import first_reason
from distill_dagster.quality.filters.reasons import ID_CONFLICT, reject_row
from distill_dagster.quality.labels import labels_of
from distill_dagster.store import schemas
from distill_dagster.tasks import Task, get_task
from distill_dagster.tasks.prompts import Prompt, prompts_of


@dataclass(frozen=True, slots=True)
class SyntheticSet:
    """Tables of examples (records.EXAMPLE) and rejects (records.REJECT); counts add up, facts are for people."""

    table: pa.Table
    rejected: pa.Table
    counts: dict[str, int]
    facts: dict[str, Any]

    @property
    def examples(self) -> list[dict[str, Any]]:
        """The examples as dictionaries."""
        return self.table.to_pylist()

    @property
    def rejects(self) -> list[dict[str, Any]]:
        """The rejects as dictionaries."""
        return self.rejected.to_pylist()


@dataclass(slots=True)
class _Asked:
    """The question whose answers are being judged."""

    number: int
    row: Mapping[str, Any]
    task: Task
    prompts: list[Prompt]
    replies: dict[int, list[str]] = field(default_factory=dict)  # sample -> answers kept, by turn


@dataclass(slots=True)
class _Selection:
    """What has been kept so far."""

    quality: QualityConfig
    learn: Learn
    labels: dict[str, list[str] | None]  # task -> label set
    questions: Questions

    def candidate(self, teacher: Mapping[str, Any], asked: _Asked | None) -> Candidate | None:
        """The teacher row beside its raw row, its text parsed anew; None where there is no such row or turn."""
        if asked is None or not 0 <= teacher["turn"] < len(asked.prompts):
            return None
        if asked.number in self.questions.conflicts:
            return None
        return candidate_of(
            asked.row,
            teacher,
            asked.task,
            self.labels[asked.task.name],
            asked.prompts[teacher["turn"]].reference,
            self.quality,
            self.learn,
        )

    def reason(
        self, teacher: Mapping[str, Any], asked: _Asked | None, candidate: Candidate | None
    ) -> tuple[str, str] | None:
        """Why the row is refused, and what it clashes with; None for one that is kept."""
        if asked is not None and asked.number in self.questions.conflicts:
            return ID_CONFLICT, ", ".join(sorted(self.questions.conflicts[asked.number]))
        if asked is None or candidate is None:
            return "unknown_row", ""
        if match := self.questions.contaminated.get(asked.number):
            return "contaminated", match.item
        answered = len(asked.replies.get(teacher["sample"], ()))
        if answered < teacher["turn"]:
            return "earlier_turn", str(answered)
        reason = first_reason(candidate)
        if reason is not None:
            return reason, repr(list(candidate.reference))
        return self._repeats(asked, candidate) or (("repeated_row", "") if answered > teacher["turn"] else None)

    def _repeats(self, asked: _Asked, candidate: Candidate) -> tuple[str, str] | None:
        """Whether another question in the set is this one, or nearly so."""
        questions = self.questions
        owner = int(questions.owners[questions.same[asked.number]])
        if owner not in (-1, asked.number):
            return "duplicate_prompt", repr(questions.row_id(owner))
        if owner == -1 and questions.near is not None:
            alike = questions.near.kept_alike(asked.number, answered(candidate))
            if alike is not None:
                return "near_duplicate", repr(questions.row_id(alike))
        return None

    def keep(self, asked: _Asked, candidate: Candidate) -> list[str]:
        """Enter an accepted answer; returns the earlier replies of its dialogue. Later turns will see its answer."""
        questions = self.questions
        questions.owners[questions.same[asked.number]] = asked.number
        if questions.near is not None:
            questions.near.keep(asked.number, answered(candidate))
        replies = asked.replies.setdefault(candidate.teacher["sample"], [])
        assert candidate.answer is not None, "the filters refuse what does not parse"
        replies.append(candidate.answer)
        return replies[:-1]


def answered(candidate: Candidate) -> Answered:
    """What tells this question from one that reads nearly the same."""
    if not candidate.task.exact:
        return Answered()
    return Answered(candidate.answer, tuple(sorted(candidate.reference)))


def build_set(raw: Rows, teacher: Rows, test: Rows, quality: QualityConfig, learn: Learn = "answer") -> SyntheticSet:
    """Filter, deduplicate, decontaminate and balance the answers to all shards' rows; `learn` makes the targets.

    Raises:
        ConfigError: `quality.max_label_share` cannot be met with the labels that were answered.
    """
    with uncollected():
        raw, teacher = table_of(raw, RAW), table_of(teacher, TEACHER)  # what they are made of may go from memory
        return _build_set(raw, teacher, test, quality, learn)


def _build_set(raw: pa.Table, answers: pa.Table, test: Rows, quality: QualityConfig, learn: Learn) -> SyntheticSet:
    tasks = sorted(raw.column("task").unique().to_pylist())
    labels = {task: labels_of(task, quality, _gold(raw, task)) for task in tasks}
    selection = _Selection(quality, learn, labels, Questions(raw, test, quality))
    examples, rejects, tally = Examples(quality, learn), Growing(schemas.REJECT), Tally()
    for row, asked in _side_by_side(selection.questions, walk(answers, ordered(answers, TEACHER_ORDER))):
        candidate = selection.candidate(row, asked)
        refused = selection.reason(row, asked, candidate)
        score = _score(candidate)
        tally.count(candidate, score, refused[0] if refused else None)
        if refused is not None:
            rejects.append(reject_row(row, candidate.raw if candidate else None, *refused))
        elif candidate is not None and asked is not None:
            examples.add(candidate, asked.prompts[row["turn"]], selection.keep(asked, candidate), score)
    rejects.extend(examples.cap())
    table = examples.table(labels)
    facts = {**facts_of(tally, table, {task for task in tasks if get_task(task).exact}), **examples.facts()}
    facts |= {"contamination": _contamination(selection.questions), "prompts": prompt_diversity(table)}
    facts["answers"] = pc.sum(pc.equal(answers.column("status"), "ok")).as_py() or 0
    return SyntheticSet(table, rejects.table(), _counts(len(answers), table, rejects.table()), facts)


def _side_by_side(
    questions: Questions, teacher: Iterable[dict[str, Any]]
) -> Iterator[tuple[dict[str, Any], _Asked | None]]:
    """Each teacher row with the question of its row id, None where there is none; both come in the order of ids."""
    raw = enumerate(walk(questions.raw, questions.places))
    asked: _Asked | None = None
    number, row = next(raw, (-1, None))
    for answer in teacher:
        while row is not None and row["row_id"] < answer["row_id"]:
            number, row = next(raw, (-1, None))
        if row is None or row["row_id"] != answer["row_id"]:
            asked = None
        elif asked is None or asked.number != number:
            asked = _Asked(number, row, get_task(row["task"]), prompts_of(row))
        yield answer, asked


def _score(candidate: Candidate | None) -> float | None:
    """The task's score against gold, 0 for what cannot be parsed; None where there is no answer or no gold."""
    if candidate is None or candidate.teacher["status"] != "ok" or not candidate.reference:
        return None
    return candidate.task.score(candidate.answer, candidate.reference)


def _gold(raw: pa.Table, task: str) -> Iterator[dict[str, Any]]:
    """What decides a task's label set."""
    if get_task(task).labels_from_gold:
        columns = raw.select(["split", "task", "reference"])
        yield from walk(columns, pc.indices_nonzero(pc.equal(columns.column("task"), task)))


def _contamination(questions: Questions) -> dict[str, Any]:
    """Contaminated questions by rule, and how many of the held-out items the n-gram rule could not see."""
    rules = Counter(match.rule for match in questions.contaminated.values())
    items = sum(held_out.items for held_out in questions.held_out)
    unseen = sum(held_out.unseen for held_out in questions.held_out)
    near = any(held_out.near for held_out in questions.held_out)
    return {
        "held_out_items": items,
        "contaminated_questions": dict(sorted(rules.items())),
        "not_seen_by_ngrams": (unseen / items if items else None) if near else None,
    }


def _counts(teacher_rows: int, examples: pa.Table, rejects: pa.Table) -> dict[str, int]:
    """Rows in, rows out, and refused rows by reason."""
    splits, codes = value_counts(examples.column("split")), value_counts(rejects.column("code"))
    return {
        "teacher_rows": teacher_rows,
        "examples": len(examples),
        "train": splits["train"],
        "validation": splits["validation"],
        "rejected": len(rejects),
        **dict(sorted(codes.items())),
    }
