"""Which teacher rows stay: each is judged on its own, then against the rows that were kept before it.

    teacher row  row_id "b", raw_text "Label: Neutral."; row "a" with the same prompt is in the set already
    reason       ("duplicate_prompt", "'a'")

Teacher rows come in the order of row id, sample and turn, so of two rows that clash the first by row id stays.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from distill_dagster.config import Learn, QualityConfig
from distill_dagster.quality.duplicates.kept_rows import AskedPrompt, KeptRows
from distill_dagster.quality.duplicates.near import Answered
from distill_dagster.quality.duplicates.prompt_index import Entry
from distill_dagster.quality.filters.candidate import Candidate, candidate_of
from distill_dagster.quality.filters.reasons import ID_CONFLICT
from distill_dagster.quality.filters.row_filters import FILTERS, Filter, first_reason
from distill_dagster.tasks import Task, get_task
from distill_dagster.tasks.prompts import Prompt, prompts_of


@dataclass(slots=True)
class AskedRow:
    """The raw row whose answers are being judged."""

    entry: Entry
    task: Task
    prompts: list[Prompt]  # by turn
    prompt: AskedPrompt
    replies: dict[int, list[str]] = field(default_factory=dict)  # sample -> kept answers, by turn
    kept: bool = False  # whether an answer to it is in the set

    @classmethod
    def of(cls, entry: Entry) -> "AskedRow":
        """The row of an entry, without answers so far."""
        return cls(entry, get_task(entry.row["task"]), prompts_of(entry.row), AskedPrompt(entry.row))


@dataclass(slots=True)
class Selection:
    """What has been kept so far."""

    quality: QualityConfig
    learn: Learn
    labels: dict[str, list[str] | None]  # task -> label set
    rows: KeptRows
    filters: tuple[Filter, ...] = FILTERS

    def candidate(self, teacher: Mapping[str, Any], asked: AskedRow | None) -> Candidate | None:
        """The teacher row beside its raw row, with its text parsed again; None if no such row or turn exists."""
        if asked is None or not 0 <= teacher["turn"] < len(asked.prompts):
            return None
        if asked.entry.conflict:
            return None
        return candidate_of(
            asked.entry.row,
            teacher,
            asked.task,
            self.labels[asked.task.name],
            asked.prompts[teacher["turn"]].reference,
            self.quality,
            self.learn,
        )

    def reason(
        self, teacher: Mapping[str, Any], asked: AskedRow | None, candidate: Candidate | None
    ) -> tuple[str, str] | None:
        """Why the row is refused, and what it clashes with; None for a row that stays."""
        if asked is not None and asked.entry.conflict:
            return ID_CONFLICT, ", ".join(sorted(asked.entry.conflict))
        if asked is None or candidate is None:
            return "unknown_row", ""
        if asked.entry.match:
            return "contaminated", asked.entry.match.item
        answered = len(asked.replies.get(teacher["sample"], ()))
        if answered < teacher["turn"]:
            return "earlier_turn", str(answered)
        reason = first_reason(candidate, self.filters)
        if reason is not None:
            return reason, repr(list(candidate.reference))
        return self._repeats(asked, candidate) or (("repeated_row", "") if answered > teacher["turn"] else None)

    def _repeats(self, asked: AskedRow, candidate: Candidate) -> tuple[str, str] | None:
        """The reason if another row of the set has this prompt, or nearly this prompt."""
        if asked.kept:
            return None
        slots = asked.entry.slots
        if (owner := self.rows.owner(slots, asked.prompt)) is not None:
            return "duplicate_prompt", repr(owner)
        alike = self.rows.alike(slots, asked.prompt, answered(candidate))
        return ("near_duplicate", repr(alike)) if alike is not None else None

    def keep(self, asked: AskedRow, candidate: Candidate) -> list[str]:
        """Enter an accepted answer, which later turns will see; returns the earlier replies of its dialogue."""
        if not asked.kept:
            self.rows.keep(asked.entry.slots, asked.prompt, answered(candidate))
            asked.kept = True
        replies = asked.replies.setdefault(candidate.teacher["sample"], [])
        assert candidate.answer is not None, "the filters refuse a text that does not parse"
        replies.append(candidate.answer)
        return replies[:-1]


def answered(candidate: Candidate) -> Answered:
    """What distinguishes this row from one with nearly the same prompt."""
    if not candidate.task.exact:
        return Answered()
    return Answered(candidate.answer, tuple(sorted(candidate.reference)))
