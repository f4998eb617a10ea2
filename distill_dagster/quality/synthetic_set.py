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
    contaminated    the test set asks it too (E012)
    earlier_turn    an earlier turn of this conversation was refused, so the teacher built on what is gone
    …               the row filters, see filters.py
    repeated_row    the same row, sample and turn is in the set already
    duplicate_prompt  another row asks the same (E011); the first by row id stays
    label_cap       the label has its share (quality.max_label_share)
"""

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any

from distill_dagster.config import Learn, Prompting, QualityConfig
from distill_dagster.quality.balance import over_cap
from distill_dagster.quality.facts import facts_of
from distill_dagster.quality.filters import Candidate, first_reason
from distill_dagster.quality.labels import labels_of
from distill_dagster.quality.prompt_keys import contamination_key, duplicate_key
from distill_dagster.quality.reasons import ID_CONFLICT, reject_row
from distill_dagster.records import canonical_json
from distill_dagster.tasks import Reading, Task, get_task
from distill_dagster.tasks.prompts import Prompt, prompts_of, with_replies


@dataclass(frozen=True, slots=True)
class SyntheticSet:
    """Examples (records.EXAMPLE) and rejects (records.REJECT); counts add up, facts are for people."""

    examples: list[dict[str, Any]]
    rejects: list[dict[str, Any]]
    counts: dict[str, int]
    facts: dict[str, Any]


@dataclass(slots=True)
class _Question:
    """A raw row with what is compared of it, computed once."""

    row: Mapping[str, Any]
    prompts: list[Prompt]
    key: tuple[str, ...]
    asked_by: str | None  # id of a test row that asks the same


@dataclass(slots=True)
class _Selection:
    """What has been kept so far."""

    quality: QualityConfig
    learn: Learn
    labels: dict[str, list[str] | None]  # task -> label set
    questions: dict[str, _Question]
    conflicts: dict[str, set[str]]  # id of different rows -> their shards
    replies: dict[tuple[str, int], list[str]] = field(default_factory=dict)  # row id, sample -> answers kept, by turn
    owners: dict[tuple[str, ...], str] = field(default_factory=dict)  # duplicate key -> row id

    def candidate(self, teacher: Mapping[str, Any]) -> Candidate | None:
        """The teacher row beside its raw row, its text parsed anew; None where there is no such row or turn."""
        question = self.questions.get(teacher["row_id"])
        if question is None or not 0 <= teacher["turn"] < len(question.prompts):
            return None
        task = get_task(question.row["task"])
        labels = self.labels[task.name]
        prompting = task.prompting_for(_asked_with(teacher["params"]))
        return Candidate(
            raw=question.row,
            teacher=teacher,
            task=task,
            labels=labels,
            reference=question.prompts[teacher["turn"]].reference,
            reading=_read(task, teacher, prompting, labels),
            gold_agreement=self.quality.require_gold_agreement,
            reasoning_needed=self.learn == "reasoning_and_answer" and prompting == "chain_of_thought",
        )

    def reason(self, teacher: Mapping[str, Any], candidate: Candidate | None) -> tuple[str, str] | None:
        """Why the row is refused, and what it clashes with; None for one that is kept."""
        row_id, turn = teacher["row_id"], teacher["turn"]
        if row_id in self.conflicts:
            return ID_CONFLICT, ", ".join(sorted(self.conflicts[row_id]))
        if candidate is None:
            return "unknown_row", ""
        question = self.questions[row_id]
        if question.asked_by is not None:
            return "contaminated", repr(question.asked_by)
        answered = len(self.replies.get((row_id, teacher["sample"]), []))
        if answered < turn:
            return "earlier_turn", str(answered)
        reason = first_reason(candidate)
        if reason is not None:
            return reason, repr(list(candidate.reference))
        owner = self.owners.get(question.key, row_id)
        if owner != row_id:
            return "duplicate_prompt", repr(owner)
        return ("repeated_row", "") if answered > turn else None

    def keep(self, candidate: Candidate) -> dict[str, Any]:
        """The example that an accepted row makes; later turns will see its answer."""
        raw, teacher, answer = candidate.raw, candidate.teacher, candidate.answer
        assert answer is not None, "the filters refuse what does not parse"
        question = self.questions[raw["row_id"]]
        self.owners[question.key] = raw["row_id"]
        replies = self.replies.setdefault((raw["row_id"], teacher["sample"]), [])
        messages = with_replies(question.prompts[teacher["turn"]], replies)
        replies.append(answer)
        return {
            "row_id": raw["row_id"],
            "sample": teacher["sample"],
            "turn": teacher["turn"],
            "shard": raw["shard"],
            "split": raw["split"],
            "task": raw["task"],
            "messages": messages,
            "answer": candidate.task.teach(answer, candidate.reading.reasoning, self.learn),
            "reasoning": candidate.reading.reasoning,
            "reference": list(candidate.reference),
            "label": candidate.task.label(answer),
        }


def build_set(
    raw: Sequence[dict[str, Any]],
    teacher: Sequence[dict[str, Any]],
    test: Sequence[dict[str, Any]],
    quality: QualityConfig,
    learn: Learn = "answer",
) -> SyntheticSet:
    """Filter, deduplicate, decontaminate and balance the answers to all shards' rows; `learn` makes the targets.

    Raises:
        ConfigError: `quality.max_label_share` cannot be met with the labels that were answered.
    """
    selection = _begin(raw, test, quality, learn)
    kept: list[tuple[dict[str, Any], Candidate]] = []
    rejects, judged = [], []
    for row in sorted(teacher, key=_order):
        candidate = selection.candidate(row)
        refused = selection.reason(row, candidate)
        if candidate is not None:
            judged.append(candidate)
        if refused is not None:
            rejects.append(reject_row(row, candidate.raw if candidate else None, *refused))
        elif candidate is not None:
            kept.append((selection.keep(candidate), candidate))
    capped = over_cap([example for example, _ in kept], quality.max_label_share)
    for example, candidate in (kept[i] for i in sorted(capped)):
        rejects.append(reject_row(candidate.teacher, candidate.raw, "label_cap", repr(example["label"])))
    kept = [pair for i, pair in enumerate(kept) if i not in capped]
    examples = [example for example, _ in kept]
    facts = facts_of(len(teacher), judged, [candidate for _, candidate in kept])
    return SyntheticSet(examples, rejects, _counts(teacher, examples, rejects), facts)


@lru_cache(maxsize=64)
def _asked_with(params: str) -> Prompting:
    """The prompting in a teacher row's parameters; rows of the time before there was any were asked plainly."""
    return json.loads(params).get("prompting", "plain")


def _read(task: Task, teacher: Mapping[str, Any], prompting: Prompting, labels: Sequence[str] | None) -> Reading:
    """The raw text, parsed anew; thoughts that the server gave apart from the text stand in the row's `reasoning`."""
    reading = task.read(teacher["raw_text"] or "", prompting, labels)
    return reading if reading.reasoning else replace(reading, reasoning=teacher["reasoning"])


def _begin(
    raw: Sequence[dict[str, Any]], test: Iterable[dict[str, Any]], quality: QualityConfig, learn: Learn
) -> _Selection:
    """The raw rows by id, compared with the test rows; of equal copies in several shards the first one stands."""
    held_out = {contamination_key(row): row["row_id"] for row in sorted(test, key=lambda row: row["row_id"])}
    questions: dict[str, _Question] = {}
    conflicts: dict[str, set[str]] = {}
    for row in sorted(raw, key=lambda row: (row["row_id"], row["shard"], row["source_line"], row["split"])):
        other = questions.get(row["row_id"])
        if other is None:
            asked_by = held_out.get(contamination_key(row))
            questions[row["row_id"]] = _Question(row, prompts_of(row), duplicate_key(row), asked_by)
        elif _content(other.row) != _content(row):
            conflicts.setdefault(row["row_id"], {other.row["shard"]}).add(row["shard"])
    labels = {task: labels_of(task, quality, raw) for task in {row["task"] for row in raw}}
    return _Selection(quality, learn, labels, {k: q for k, q in questions.items() if k not in conflicts}, conflicts)


def _content(row: Mapping[str, Any]) -> str:
    """What makes two raw rows the same row."""
    return canonical_json([row["task"], row["messages"], list(row["reference"] or ())])


def _order(row: Mapping[str, Any]) -> tuple[Any, ...]:
    """An order of teacher rows in which a conversation's turns follow one another; the rest only settles ties."""
    rest = ("status", "finish_reason", "request_hash", "raw_text")
    return row["row_id"], row["sample"], row["turn"], *(row[name] or "" for name in rest)


def _counts(
    teacher: Sequence[Any], examples: Sequence[Mapping[str, Any]], rejects: Sequence[Mapping[str, Any]]
) -> dict[str, int]:
    """Rows in, rows out, and refused rows by reason."""
    splits = Counter(example["split"] for example in examples)
    return {
        "teacher_rows": len(teacher),
        "examples": len(examples),
        "train": splits["train"],
        "validation": splits["validation"],
        "rejected": len(rejects),
        **dict(sorted(Counter(reject["code"] for reject in rejects).items())),
    }
