"""What a teacher is asked and what it replies, whoever it is.

    question  request_hash "9c01…", messages [user "2 + 2?"], response_format None
    reply     request_hash "9c01…", text "4", finish_reason "stop", prompt_tokens 12, completion_tokens 2, attempts 1

A reply is handed to `record` as soon as it is there, so that what was paid for is on disk before anything else can
fail. A request that did not come back is a reply too, with the finish reason `error` and a code.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol


@dataclass(frozen=True, slots=True)
class Question:
    """One request. Two questions with one hash are the same request."""

    request_hash: str
    messages: list[dict[str, str]]
    response_format: dict[str, Any] | None = None  # OpenAI's field of that name, where JSON is asked for


@dataclass(frozen=True, slots=True)
class Reply:
    """What came back. Tokens and `latency_ms` are those of the last attempt, `cost_usd` that of all attempts together.

    `latency_ms` of a batch is its time divided by its rows. An answer without any text has the text "", not None.
    """

    request_hash: str
    text: str | None
    finish_reason: str  # stop | length | content_filter | error
    prompt_tokens: int = 0
    completion_tokens: int = 0
    latency_ms: float = 0.0
    attempts: int = 1
    cost_usd: float = 0.0
    reasoning: str | None = None  # what a reasoning model returns apart from the text
    logprobs: str | None = None  # JSON, as the server gave them
    error_code: str | None = None
    error: str | None = None  # for people

    @property
    def ok(self) -> bool:
        """Whether there is an answer, cut off or not."""
        return self.finish_reason != "error"


class Teacher(Protocol):
    """Something that answers questions."""

    name: str
    revision: str
    identity: dict[str, Any]  # what makes it this teacher: part of every request's hash

    def render(self, messages: Sequence[dict[str, str]], response_format: dict[str, Any] | None) -> Any:
        """The request as the teacher sees it, as JSON: the other part of its hash."""
        ...

    def count_tokens(self, messages: Sequence[dict[str, str]]) -> int | None:
        """Tokens of a prompt; None where its tokenizer is not here."""
        ...

    def dtype(self, device: str) -> str:
        """The precision of its weights on a device, or what is known of it."""
        ...

    def answer(self, questions: Sequence[Question], record: Callable[[Reply], None]) -> None:
        """Ask every question once and hand each reply to `record` at once, in any order.

        Where `record` raises, nothing new is asked, what is in flight is waited for and recorded, and the error
        is raised then.

        Raises:
            TeacherError: the teacher cannot be asked at all (no key, not there, not allowed).
        """
        ...
