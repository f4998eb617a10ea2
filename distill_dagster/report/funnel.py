"""The data's way from the source rows to the examples: a table whose counts add up, each refusal in words.

    step                                                    refused   left
    Source rows read                                                  420
    E001: the row is not a JSON object in UTF-8 …           2         418
    Prompts asked of the teacher                                      418
    failed (E014): the teacher gave no answer               3         415
    Examples                                                          415
    of them for training                                              395
    of them for validation                                            20

A refused answer counts under the first reason that applies.
"""

from collections.abc import Iterable, Iterator, Mapping

from pydantic import BaseModel

from distill_dagster.generation.specs import GenerateCounts
from distill_dagster.quality.filters.in_words import in_order, titled
from distill_dagster.quality.specs import SetCounts
from distill_dagster.sources.in_words import VERDICTS
from distill_dagster.sources.specs import ReadCounts

Line = tuple[str, str, str]  # step, refused, left
NOT_CHOSEN = "not chosen: another answer to the same row was preferred"
ASKED = "Prompts asked of the teacher"


class Funnel(BaseModel, frozen=True):
    """How many rows and answers each step had, and how many it refused, by code or reason."""

    source_rows: int
    refused_rows: dict[str, int]
    rows: int
    rows_asked: int  # those that the teacher was asked about: all rows, unless shards were made at different times
    requests: int
    failed: int  # of the requests; the filters refuse these answers, and most of the next two
    truncated: int
    unparsed: int
    chosen: int
    answers: int  # that the filters judged: the chosen ones
    refused_answers: dict[str, int]
    examples: int
    train: int
    validation: int

    @classmethod
    def of(cls, read: Iterable[ReadCounts], answered: Iterable[GenerateCounts], judged: SetCounts) -> "Funnel":
        """From the counts of all shards' rows and answers, and of the set that they gave."""
        read, answered = list(read), list(answered)
        return cls(
            source_rows=sum(counts.lines for counts in read),
            refused_rows=_sum(counts.by_code for counts in read),
            rows=sum(counts.rows for counts in read),
            rows_asked=sum(counts.rows for counts in answered),
            requests=sum(counts.requests for counts in answered),
            failed=sum(counts.failed for counts in answered),
            truncated=sum(counts.truncated for counts in answered),
            unparsed=sum(counts.unparsed for counts in answered),
            chosen=sum(counts.chosen for counts in answered),
            answers=judged.teacher_rows,
            refused_answers=in_order(judged.by_reason),
            **judged.model_dump(include={"examples", "train", "validation"}),
        )

    @property
    def gaps(self) -> list[str]:
        """Where two counts that should be equal are not: artefacts of different times. None in a finished project."""
        pairs = {
            "source rows": (self.source_rows, self.rows + sum(self.refused_rows.values())),
            "rows that the teacher was asked about": (self.rows, self.rows_asked),
            "chosen answers": (self.chosen, self.answers),
            "judged answers": (self.answers, self.examples + sum(self.refused_answers.values())),
            "examples": (self.examples, self.train + self.validation),
        }
        return [f"{what}: {one:,} and {other:,}" for what, (one, other) in pairs.items() if one != other]


def _sum(counts: Iterable[Mapping[str, int]]) -> dict[str, int]:
    """The counts of all shards by code, in the order of the codes; a code without a row is left out."""
    found: dict[str, int] = {}
    for by_code in counts:
        for code, count in by_code.items():
            found[code] = found.get(code, 0) + count
    return {code: found[code] for code in sorted(found) if found[code]}


def funnel_lines(funnel: Funnel) -> list[Line]:
    """The lines of the table."""
    return [
        _line("Source rows read", funnel.source_rows),
        *_refused(funnel.source_rows, {f"{code}: {_verdict(code)}": n for code, n in funnel.refused_rows.items()}),
        _line(ASKED, funnel.requests),
        *_refused(funnel.requests, _refused_answers(funnel)),
        _line("Examples", funnel.examples),
        _line("of them for training", funnel.train),
        _line("of them for validation", funnel.validation),
    ]


def _refused_answers(funnel: Funnel) -> dict[str, int]:
    not_chosen = funnel.requests - funnel.chosen
    reasons = {titled(reason): count for reason, count in funnel.refused_answers.items()}
    return {**({NOT_CHOSEN: not_chosen} if not_chosen else {}), **reasons}


def _verdict(code: str) -> str:
    return VERDICTS.get(code, "a code of another version")


def _refused(left: int, by_reason: Mapping[str, int]) -> Iterator[Line]:
    for reason, count in by_reason.items():
        left -= count
        yield reason, f"{count:,}", f"{left:,}"


def _line(what: str, left: int) -> Line:
    return what, "", f"{left:,}"


def funnel_text(funnel: Funnel) -> str:
    """What became of the requests, and whether the counts add up."""
    said = (
        f"Of {funnel.requests:,} requests, {funnel.failed:,} failed, {funnel.truncated:,} answers were cut off, and "
        f"{funnel.unparsed:,} could not be parsed. Each user turn of a row is a prompt, and is asked once for each of "
        "the row's answers. A refused answer counts under the first reason that applies."
    )
    if not funnel.gaps:
        return said
    return f"{said} The counts do not add up, because the artefacts were made at different times: " + (
        "; ".join(funnel.gaps) + "."
    )
