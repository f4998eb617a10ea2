"""Spans: the shortest parts of an answer that begin and end at the same bytes in the tokens of teacher and student.

    teacher   "un" "bel" "iev" "able" " 🙂" <end>          2 + 3 + 3 + 4 + 5 bytes
    student   "unb" "eliev" "able" " " "🙂" <eos>          3 + 5 + 4 + 1 + 4
    spans    "unbeliev"      "able"   " 🙂"    the end    teacher 0:3, 3:4, 4:5, 5:6   student 0:2, 2:3, 3:5, 5:6

Bytes are counted from the answer's first character, so that a BOS token, the template's opening and the space that
SentencePiece puts in front do not count. Behind the first byte in which the answers differ there is no span. The end
tokens, with what the templates write before them, are a span of their own, if the answers are the same up to there.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any, NamedTuple, Self

from distill_dagster.models.frames import opening_of
from distill_dagster.models.rendering import encode
from distill_dagster.models.token_bytes import bytes_of, token_bytes

LONGEST = 64  # tokens of the student in a span; the loss holds the logits of a whole span at once


class Span(NamedTuple):
    """Tokens `[start, end)` of both answers with the same bytes."""

    teacher: slice
    student: slice


class Answer(NamedTuple):
    """The bytes of an answer's tokens, those of special tokens b"", and of the opening that its template writes."""

    tokens: Sequence[bytes]
    opening: bytes = b""


@dataclass(frozen=True, slots=True)
class Spelling:
    """How a tokenizer and its template spell an answer in bytes."""

    table: Sequence[bytes]
    opening: bytes

    @classmethod
    def of_tokenizer(cls, tokenizer: Any) -> Self:
        """ModelError if the tokens cannot be told apart by their bytes."""
        table = token_bytes(tokenizer)
        return cls(table, b"".join(bytes_of(table, encode(tokenizer, opening_of(tokenizer)))))

    def of(self, ids: Sequence[int]) -> Answer:
        """An answer of these tokens."""
        return Answer(bytes_of(self.table, ids), self.opening)


class _Located(NamedTuple):
    """An answer's text, and where in it each token ends; tokens before the text end at 0 or before."""

    text: bytes
    ends: list[int]
    tokens: Sequence[bytes]

    @property
    def first(self) -> int:
        """The first token of the text."""
        return next((i for i, end in enumerate(self.ends) if end > 0), len(self.ends))

    def behind(self) -> dict[int, int]:
        """End -> the token behind the first one that ends there; special tokens end there too."""
        return {end: i + 1 for i, end in reversed([*enumerate(self.ends)])}


def align(teacher: Answer, student: Answer) -> list[Span]:
    """The spans of an answer, in order."""
    one, other = _located(teacher), _located(student)
    same = _same_bytes(one.text, other.text)
    bounds = sorted({end for end in one.ends if 0 < end <= same} & {end for end in other.ends if 0 < end <= same})
    spans, start, (behind, other_behind) = [], (one.first, other.first), (one.behind(), other.behind())
    for bound in bounds:
        stop = (behind[bound], other_behind[bound])
        spans.append(Span(slice(start[0], stop[0]), slice(start[1], stop[1])))
        start = stop
    if bounds and _only_ends(one, start[0]) and _only_ends(other, start[1]):
        spans.append(Span(slice(start[0], len(one.tokens)), slice(start[1], len(other.tokens))))
    return [span for span in spans if span.student.stop - span.student.start <= LONGEST]


def _located(answer: Answer) -> _Located:
    tokens, opening = answer
    whole = b"".join(tokens)
    before = len(opening) if whole.startswith(opening) else 0
    text = whole[before:].lstrip()
    before = len(whole) - len(text)
    return _Located(text, [end - before for end in accumulate(map(len, tokens))], tokens)


def _same_bytes(one: bytes, other: bytes) -> int:
    """How many bytes two texts have in common before they differ."""
    length = min(len(one), len(other))
    if one[:length] == other[:length]:
        return length
    return next(i for i in range(length) if one[i] != other[i])


def _only_ends(answer: _Located, start: int) -> bool:
    """Whether the tokens from `start` on are white space and, as the last of them, a special token."""
    rest = answer.tokens[start:]
    return bool(rest) and rest[-1] == b"" and not b"".join(rest).strip()
