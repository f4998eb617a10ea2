"""Puts a streamed answer together: server-sent events become the body of an ordinary chat completion.

    data: {"choices": [{"delta": {"content": "4"}, "finish_reason": null}]}
    data: {"choices": [{"delta": {"content": "2"}, "finish_reason": "stop"}]}
    data: {"choices": [], "usage": {"prompt_tokens": 12, "completion_tokens": 2}}
    data: [DONE]
    ->   {"choices": [{"message": {"content": "42"}, "finish_reason": "stop"}], "usage": {...}}

So a streamed reply is read, stored and billed like any other, and an error among the events is read like the error of
any other body. Nothing replaces a text: values of different types become a list of parts.

    {"content": [{"type": "thinking", …}]}, then {"content": "42"}  ->  {"content": [{"type": "thinking", …}, "42"]}

A stream is whole if it gave a finish reason or `[DONE]`; one that was cut off before is no answer and is asked for
again. httpx2 decodes the events.
"""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from distill_dagster.teachers.bounded_json import read_json
from distill_dagster.teachers.message import TEXT_FIELDS

EVENT_STREAM = "text/event-stream"
DONE = "[DONE]"
SAME = {"role", "name"}  # fields of a message that every delta may repeat
Values = dict[str, list[Any]]  # all values of a field but nulls, in order


@dataclass(frozen=True, slots=True)
class Joined:
    """The body that the events make together; `broken` says why it is no whole answer."""

    body: dict[str, Any]
    broken: str
    is_mixed: bool  # a text came in values of different types


def is_stream(content: bytes) -> bool:
    """Whether a body is events: some servers stream what nobody asked to stream, or say no content type."""
    start = content.lstrip()[:6]
    return start.startswith((b"data:", b"event:", b"id:", b":", b"retry:"))


def join(content: bytes) -> Joined:
    """The completion that a stream's events make together; no event is too odd."""
    chunks, broken, is_done = [], "", False
    for data in _events(content):
        if data.startswith(DONE):
            is_done = True
            break
        try:
            chunks.append(_chunk(data))
        except ValueError as e:
            broken = f"an event of the stream: {e}"
            break
    body, texts = _joined(chunks)
    choices = body.get("choices")
    if not broken and not is_done and not (choices and choices[0]["finish_reason"] is not None):
        broken = "the stream ended before the answer was whole"
    return Joined(body, broken, any(len(set(map(type, values))) > 1 for values in texts))


def _events(content: bytes) -> Iterator[str]:
    """The data of each event; an event that was cut off is left out."""
    import httpx2

    request, headers = httpx2.Request("POST", "http://localhost"), {"content-type": f"{EVENT_STREAM}; charset=utf-8"}
    source = httpx2.EventSource(httpx2.Response(200, headers=headers, content=content, request=request), None)
    return (event.data for event in source if event.data)


def _chunk(data: str) -> dict[str, Any]:
    chunk = read_json(data)
    if not isinstance(chunk, dict):
        raise ValueError("not an object")
    return chunk


def _joined(chunks: list[dict[str, Any]]) -> tuple[dict[str, Any], list[list[Any]]]:
    """The body that the chunks make together, and the values of each of its texts."""
    body: dict[str, Any] = {}
    said: Values = defaultdict(list)
    beside: Values = defaultdict(list)
    is_there = False
    for chunk in chunks:
        body |= {name: value for name, value in chunk.items() if value and name != "choices"}
        if "choices" in chunk:
            body["choices"] = []
        for part in _parts(chunk):
            is_there = True
            _collect(said, _delta(part))
            _collect(beside, {name: value for name, value in part.items() if name not in ("delta", "message", "index")})
    if is_there:
        body["choices"] = [_choice(said, beside)]
    return body, [values for name, values in said.items() if name in TEXT_FIELDS]


def _parts(chunk: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The first answer's part of a chunk; one request asks for one answer."""
    choices = chunk.get("choices")
    for part in choices if isinstance(choices, list) else []:
        if isinstance(part, dict) and part.get("index") in (0, None):
            yield part


def _delta(part: dict[str, Any]) -> dict[str, Any]:
    delta = part.get("delta") or part.get("message")
    return delta if isinstance(delta, dict) else {}


def _collect(values: Values, fields: dict[str, Any]) -> None:
    for name, value in fields.items():
        if value is not None:
            values[name].append(value)


def _choice(said: Values, beside: Values) -> dict[str, Any]:
    """The choice: a message of all that was said, and beside it the last finish reason, all log-probabilities, …"""
    message = {name: values[-1] if name in SAME else _whole(values) for name, values in said.items()}
    others = {name: _logprobs(values) if name == "logprobs" else values[-1] for name, values in beside.items()}
    return {"index": 0, "message": message, "finish_reason": None, **others}


def _whole(values: list[Any]) -> Any:
    """Texts and lists are continued, and values of different types become one list; equal values are one value."""
    if all(isinstance(value, str) for value in values):
        return "".join(values)
    if any(isinstance(value, str | list) for value in values):
        return [part for value in values for part in (value if isinstance(value, list) else [value])]
    return values[-1] if all(value == values[-1] for value in values) else values


def _logprobs(values: list[Any]) -> Any:
    """The log-probabilities of all chunks: an object of lists, as OpenAI gives them, or a list."""
    if not all(isinstance(value, dict) for value in values):
        return _whole(values)
    names = dict.fromkeys(name for value in values for name in value)
    given = {name: [value[name] for value in values if value.get(name) is not None] for name in names}
    return {name: _whole(known) if known else None for name, known in given.items()}
