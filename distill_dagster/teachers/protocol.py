"""What a model is asked and what it replies, whether it runs here or behind an endpoint.

    request   request_hash "9c01…", messages [user "2 + 2?"], response_format None
    reply     request_hash "9c01…", text "4", finish_reason "stop", prompt_tokens 12, completion_tokens 2, attempts 1

A teacher hands each reply to `record` at once, so that a paid reply is on disk before anything else can fail. A request
that failed has a reply too, with the finish reason `error` and a code.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

NO_ROOM = "E010"  # prompt and answer do not fit the model's context
NOT_RENDERED = "E015"  # the chat template refuses the messages
PREVIOUS_TURN_FAILED = "previous_turn_failed"  # never asked: an earlier turn of the conversation failed


@dataclass(frozen=True, slots=True)
class Request:
    """One call to a teacher. Two requests with the same hash are the same request."""

    request_hash: str
    messages: list[dict[str, str]]
    response_format: dict[str, Any] | None = None  # OpenAI's field of that name, where JSON is wanted
    prompt: str | None = None  # `hashing.prompt_hash` of the row's own prompt; None: it is asked for no row


class Reply(NamedTuple):
    """What came back for a request, and the row of `schemas.RESPONSE` that is stored of it.

    A named tuple, because a project reads a million of them from disk: a frozen dataclass takes twice as long to make.
    `latency_ms` of a batch is its time divided by its rows. An answer without any text has the text "", not None.
    """

    request_hash: str
    text: str | None
    finish_reason: str  # stop | length | content_filter | refusal | error, or the server's own word
    prompt_tokens: int = 0  # of the last attempt, as are completion_tokens and latency_ms
    completion_tokens: int = 0
    latency_ms: float = 0.0
    attempts: int = 1
    cost_usd: float = 0.0  # of all attempts together
    reasoning: str | None = None  # what a reasoning model returns apart from the text
    logprobs: str | None = None  # JSON, as the server gave them
    error_code: str | None = None
    error: str | None = None  # for people
    teacher: str = ""  # who replied, at which revision and when: filled in when the reply is stored
    teacher_revision: str = ""
    created_at: str | None = None  # ISO 8601
    estimated: bool | None = False  # the server did not count the tokens; None in replies of before this mark
    received: str | None = None  # the body as it came, where a reply holds less than that
    prompt: str | None = None  # that of the request: filled in when the reply is stored

    @property
    def ok(self) -> bool:
        """Whether there is an answer, cut off or not."""
        return self.finish_reason != "error"


def cost_of(replies: Iterable[Reply]) -> float:
    """What the replies cost in US dollars; rows with one prompt may share a reply, which was paid for once."""
    return sum({reply.request_hash: reply.cost_usd for reply in replies}.values())


class Teacher(Protocol):
    """A model that answers requests: a teacher, or a student or baseline that is measured."""

    name: str
    revision: str
    sampling: dict[str, Any]  # the sampling parameters that it gets, as `sampling_params` returns them

    @property
    def host(self) -> str | None:
        """That of its endpoint; None: it runs on this machine."""
        ...

    @property
    def identity(self) -> dict[str, Any]:
        """What makes it this teacher: part of every request's hash."""
        ...

    def render(self, messages: Sequence[dict[str, str]], response_format: dict[str, Any] | None) -> Any:
        """The request as the teacher sees it, as JSON: another part of its hash."""
        ...

    def count_tokens(self, messages: Sequence[dict[str, str]]) -> int | None:
        """Tokens of a prompt; None where its tokenizer is not on this machine."""
        ...

    def dtype(self, device: str) -> str:
        """The precision of its weights on a device, or "not known"."""
        ...

    def answer(self, requests: Sequence[Request], record: Callable[[Reply], None]) -> None:
        """Send every request once and hand each reply to `record` at once, in any order.

        If `record` raises, nothing more is sent; replies to requests in flight are still recorded, and then the error
        is raised.

        Raises:
            TeacherError: the teacher cannot answer any request (no key, not there, not allowed).
        """
        ...
