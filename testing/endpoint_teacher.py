"""An API teacher at a server of the tests, and the replies that it gives."""

from collections import Counter

from distill_dagster.config import EndpointConfig, GenerationConfig
from distill_dagster.teachers.endpoint import ApiTeacher
from distill_dagster.teachers.protocol import Reply, Request


def teacher_at(server, generation=None, **endpoint) -> ApiTeacher:
    """A teacher at this server, with these settings of `teacher.endpoint`."""
    settings = {"url": server.url, "model": "made", "concurrency": 8, **endpoint}
    return ApiTeacher(EndpointConfig(**settings), GenerationConfig(**(generation or {})))


def questions(count, text="question {}") -> list[Request]:
    """Requests with the hashes h0, h1, …"""
    return [Request(f"h{n}", [{"role": "user", "content": text.format(n)}]) for n in range(count)]


def ask(teacher, asked) -> dict[str, Reply]:
    """The replies by request hash; checks that every request is recorded exactly once."""
    replies = []
    teacher.answer(asked, replies.append)
    assert Counter(r.request_hash for r in replies) == Counter(q.request_hash for q in asked)
    return {reply.request_hash: reply for reply in replies}


def ask_one(server, **endpoint) -> Reply:
    """The reply to one question."""
    return ask(teacher_at(server, **endpoint), questions(1))["h0"]


def one_try_at(server, generation=None, **endpoint) -> ApiTeacher:
    """A teacher that tries each request once."""
    return teacher_at(server, generation, **{"attempts": 1, **endpoint})


def reply_of(teacher, response_format=None) -> Reply:
    """A teacher's reply to a question, in this response format."""
    asked = Request("h", [{"role": "user", "content": "?"}], response_format)
    return ask(teacher, [asked])["h"]
