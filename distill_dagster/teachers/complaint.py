"""What an error says, in the shapes that providers give it: the codes and the message.

{"error": {"code": "insufficient_quota", "message": "You exceeded …"}}      OpenAI, and most others
{"type": "error", "error": {"type": "overloaded_error", "message": "…"}}    Anthropic
[{"error": {"code": 429, "status": "RESOURCE_EXHAUSTED", "details": […]}}]  Gemini
{"detail": [{"loc": […], "msg": "…", "input": "…"}]}                        FastAPI: the input is a user's, not read
{"base_resp": {"status_code": 1008, "status_msg": "insufficient balance"}}  MiniMax, with status 200
{"code": "Arrearage", "message": "…"}, {"error": "text"}, "text"            others
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from distill_dagster.teachers.bounded_json import read_json

MESSAGE_CHARACTERS = 300
CODES = ("code", "type", "status", "reason", "error_code", "errorCode", "status_code", "error_type", "__type")
MESSAGES = ("message", "msg", "error_msg", "error_message", "status_msg", "error_description", "detail", "title", "raw")
INNER = (
    "error",
    "errors",
    "base_resp",
    "innererror",
    "inner_error",
    "details",
    "metadata",
    "choices",
    "message",
    "raw",
)
DEEPEST = 8  # lists and objects around the innermost error


@dataclass(frozen=True, slots=True)
class Complaint:
    """What an error says."""

    codes: frozenset[str] = frozenset()  # folded: letters and digits in lower case
    message: str = ""  # for people: not cut
    status: int | None = None  # an HTTP status among the codes

    @property
    def short(self) -> str:
        """The beginning of the message, for an error."""
        return self.message[:MESSAGE_CHARACTERS]


def read_complaint(body: Any) -> Complaint:
    """What a body says; no body is too odd. `body` is JSON, or text."""
    found = list(_objects(body, 0))
    codes = [value for one in found for name in CODES if isinstance(value := one.get(name), str | int)]
    said = dict.fromkeys(text for one in found for text in _messages(one))
    message = " / ".join(said) or (body if isinstance(body, str) else "")
    statuses = (int(code) for code in codes if str(code).isascii() and str(code).isdigit() and len(str(code)) == 3)
    status = next((code for code in statuses if 400 <= code < 600), None)
    return Complaint(frozenset(map(folded, map(str, codes))), message, status)


def folded(code: str) -> str:
    """A code as it is compared: `DataInspectionFailed` and `data_inspection_failed` are the same."""
    return "".join(char for char in code.casefold() if char.isalnum())


def _objects(body: Any, depth: int) -> Iterator[Mapping[str, Any]]:
    """Every object of an error, the innermost `error` first, since it says the most."""
    if depth > DEEPEST:
        return
    if isinstance(body, str) and body.lstrip()[:1] in ("{", "[") and depth:
        body = _loaded(body)
    if isinstance(body, list):
        for part in body[:20]:
            yield from _objects(part, depth + 1)
    elif isinstance(body, dict):
        for name in INNER:
            yield from _objects(body.get(name), depth + 1)
        yield body


def _loaded(text: str) -> Any:
    """A provider's own error, which a router passes on as text."""
    try:
        return read_json(text)
    except ValueError:
        return None


def _messages(one: Mapping[str, Any]) -> Iterator[str]:
    for value in (*(one.get(name) for name in MESSAGES), one.get("error")):
        if isinstance(value, str) and value.strip():
            yield value.strip()
        elif isinstance(value, list):  # FastAPI's details
            yield from (part["msg"] for part in value if isinstance(part, dict) and isinstance(part.get("msg"), str))
