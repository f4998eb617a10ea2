"""Nearly equal prompts: candidates share a band, and the parts in which they differ decide.

    "I can't find my new card, can you help me with that please?"
    "I cant find my new card, can you help me with that please?"       near duplicates: 5-gram Jaccard of 0.9 or more

Two prompts about one passage, or two hypotheses on one premise, share nearly all of their characters and still ask two
things. So texts are compared sentence by sentence and line by line. Each pair of parts that differs must reach the
threshold and hold the same numbers, operators and negations ("I did", "I did not"). In a task with one right answer,
rows whose gold answers or teacher's answers differ are never duplicates.

Rows are compared in the order in which they are judged, and only with rows that were kept. So the order of the inputs
does not decide which row stays, and of a chain a ~ b ~ c only b goes if a and c differ.
"""

import re
from dataclasses import dataclass
from functools import lru_cache

from distill_dagster.quality.duplicates.prompt_keys import bare, fold
from distill_dagster.quality.duplicates.shingles import jaccard, lengths_allow, shingles_of

SEGMENT_END = re.compile(r"(?<=[.!?;])\s+|\n+")
DECIDES = re.compile(
    r"\d+|[+*/=<>%^−×÷-]|n['’]t\b"
    r"|\b(?:not|no|nor|never|none|nothing|nobody|neither|without|cannot"
    r"|one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|dozen|hundred|thousand|million)\b",
    re.IGNORECASE,
)
RECENT = 64  # texts whose parts are cached: one row is compared with several others in turn


@dataclass(frozen=True, slots=True)
class Answered:
    """What distinguishes two rows with nearly equal prompts, in a task with one right answer; empty in other tasks."""

    answer: str | None = None
    gold: tuple[str, ...] = ()

    def agrees(self, other: "Answered") -> bool:
        """Whether the answers are equal and the gold answers do not differ; a row without gold differs from none."""
        return self.answer == other.answer and (not self.gold or not other.gold or self.gold == other.gold)


def near_duplicate(one: str, other: str, threshold: float) -> bool:
    """Whether each sentence of one text has a 5-gram Jaccard index of at least `threshold` with the other's."""
    if not lengths_allow(one, other, threshold):
        return False
    first, second = _segments(one), _segments(other)
    return len(first) == len(second) and all(
        fold(mine) == fold(its) or _alike(mine, its, threshold) for mine, its in zip(first, second, strict=True)
    )


@lru_cache(maxsize=RECENT)
def _segments(text: str) -> list[str]:
    return list(filter(str.strip, SEGMENT_END.split(text)))


def _alike(one: str, other: str, threshold: float) -> bool:
    (left, its), (right, others) = _shingled(one), _shingled(other)
    if left != right and jaccard(its, others) < threshold:
        return False
    return sorted(DECIDES.findall(fold(one))) == sorted(DECIDES.findall(fold(other)))


@lru_cache(maxsize=RECENT)
def _shingled(text: str) -> tuple[str, frozenset[str]]:
    plain = bare(text)
    return plain, shingles_of(plain)
