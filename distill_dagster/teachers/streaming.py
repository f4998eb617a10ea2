"""Puts a streamed answer together: server-sent events become the body of an ordinary chat completion.

    data: {"choices": [{"delta": {"content": "4"}, "finish_reason": null}]}
    data: {"choices": [{"delta": {"content": "2"}, "finish_reason": "stop"}]}
    data: {"choices": [], "usage": {"prompt_tokens": 12, "completion_tokens": 2}}
    data: [DONE]
    ->   {"choices": [{"message": {"content": "42"}, "finish_reason": "stop"}], "usage": {...}}

So a streamed reply is read, stored and billed like any other. A stream is whole if it gave a finish reason or `[DONE]`;
one that was cut off before is no answer and is asked for again. httpx2 decodes the events.
"""

import json
from collections.abc import Iterator
from typing import Any

from distill_dagster.teachers.completion import as_text, load_json
from distill_dagster.teachers.limits import estimated_tokens, prompt_characters
from distill_dagster.teachers.protocol import Request
from distill_dagster.teachers.retries import AttemptError

EVENT_STREAM = "text/event-stream"
DONE = "[DONE]"


def whole_answer(content: bytes, request: Request, key: str | None = None) -> bytes:
    """The body of a response of status 200; a stream of events as the completion that they make together.

    Raises:
        AttemptError: the stream was cut off, broken, or holds an error; carries the body, without the key, and the
            tokens so far, which were paid for.
    """
    if not _is_stream(content):
        return content
    try:
        return _joined_answer(content, request)
    except AttemptError as e:
        e.received = as_text(content, key)
        raise


def _joined_answer(content: bytes, request: Request) -> bytes:
    """The completion that a stream's events make together."""
    chunks, is_done = [], False
    for data in _events(content):
        if data.startswith(DONE):
            is_done = True
            break
        chunks.append(_parsed(data, chunks, request))
    body = _joined(chunks)
    choices = body["choices"]
    if not is_done and not (choices and choices[0]["finish_reason"] is not None):
        raise _broken("the stream ended before the answer was whole", chunks, request)
    return json.dumps(body, ensure_ascii=False, allow_nan=False).encode("utf-8", "surrogatepass")


def _is_stream(content: bytes) -> bool:
    """Whether a body is events: some servers stream what nobody asked to stream, or say no content type."""
    start = content.lstrip()[:6]
    return start.startswith((b"data:", b"event:", b"id:", b":", b"retry:"))


def _events(content: bytes) -> Iterator[str]:
    """The data of each event; an event that was cut off is left out."""
    import httpx2

    request, headers = httpx2.Request("POST", "http://localhost"), {"content-type": f"{EVENT_STREAM}; charset=utf-8"}
    source = httpx2.EventSource(httpx2.Response(200, headers=headers, content=content, request=request), None)
    return (event.data for event in source if event.data)


def _parsed(data: str, chunks: list[dict[str, Any]], request: Request) -> dict[str, Any]:
    try:
        chunk = load_json(data)
    except ValueError as e:
        raise _broken("an event of the stream is no JSON", chunks, request) from e
    if not isinstance(chunk, dict):
        raise _broken("an event of the stream is no object", chunks, request)
    if error := chunk.get("error"):
        said = error.get("message", error) if isinstance(error, dict) else error
        raise _broken(f"the stream broke off with an error: {str(said)[:200]}", chunks, request)
    return chunk


def _broken(what: str, chunks: list[dict[str, Any]], request: Request) -> AttemptError:
    """The failure of an attempt, with the tokens that the server generated before it."""
    choices = _joined(chunks)["choices"]
    text = "".join(str(value) for value in choices[0]["message"].values()) if choices else ""
    usage = (estimated_tokens(prompt_characters(request.messages)), estimated_tokens(len(text))) if text else (0, 0)
    return AttemptError("bad_response", what, usage=usage)


def _joined(chunks: list[dict[str, Any]]) -> dict[str, Any]:
    """The completion that the chunks make together."""
    body: dict[str, Any] = {"choices": []}
    message: dict[str, Any] = {}
    choice: dict[str, Any] = {"index": 0, "message": message, "finish_reason": None}
    for chunk in chunks:
        if chunk.get("usage"):
            body["usage"] = chunk["usage"]
        for part in _parts(chunk):
            body["choices"] = [choice]
            _add(choice, part)
            for name, value in _delta(part).items():
                message[name] = _sum(message.get(name), value) if name != "role" else value
    return body


def _parts(chunk: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The first answer's part of a chunk; one request asks for one answer."""
    choices = chunk.get("choices")
    for part in choices if isinstance(choices, list) else []:
        if isinstance(part, dict) and part.get("index") in (0, None):
            yield part


def _delta(part: dict[str, Any]) -> dict[str, Any]:
    delta = part.get("delta") or part.get("message")
    return delta if isinstance(delta, dict) else {}


def _add(choice: dict[str, Any], part: dict[str, Any]) -> None:
    """Take over all that is not text: the finish reason, the log-probabilities, and other fields of the choice."""
    for name, value in part.items():
        if name == "logprobs" and isinstance(value, dict):
            known = choice.setdefault("logprobs", {})
            known |= {key: _sum(known.get(key), tokens) for key, tokens in value.items()}
        elif name not in ("delta", "message", "index") and value is not None:
            choice[name] = value


def _sum(known: Any, more: Any) -> Any:
    """Texts and lists are continued; any other value replaces the one before, unless it is null."""
    if type(known) is type(more) and isinstance(more, str | list):
        return known + more
    return known if more is None else more
