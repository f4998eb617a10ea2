"""Chat completions as server-sent events: a chunk for each word, then the usage, then `[DONE]`.

Faults of the rules, for streams:

    cut              the connection is closed after half of the events
    end_early        the stream ends as if it were whole after half of the events, without a finish reason
    stream_error     half of the events, then an event with an error
    no_done          a whole answer without `[DONE]`
"""

import json
from typing import Any

from aiohttp import web


def events_of(payload: dict[str, Any], with_usage: bool) -> list[str]:
    """The data of every event of a completion."""
    [choice] = payload["choices"]
    same = {key: payload[key] for key in ("id", "created", "model")} | {"object": "chat.completion.chunk"}
    message, logprobs = choice["message"], choice["logprobs"]
    deltas: list[dict[str, Any]] = [{"role": "assistant", "content": ""}]
    for field in ("reasoning_content", "reasoning"):
        deltas += [{field: piece} for piece in _pieces(message.get(field))]
    deltas += [{"content": piece} for piece in _pieces(message["content"])]
    chunks = [{**same, "choices": [{"index": 0, "delta": delta, "finish_reason": None}]} for delta in deltas]
    if logprobs:
        for chunk, token in zip(chunks[1:], logprobs["content"], strict=False):
            chunk["choices"][0]["logprobs"] = {"content": [token], "refusal": None}
    chunks.append({**same, "choices": [{"index": 0, "delta": {}, "finish_reason": choice["finish_reason"]}]})
    if with_usage:
        chunks.append({**same, "choices": [], "usage": payload["usage"]})
    return [json.dumps(chunk) for chunk in chunks]


def _pieces(text: str | None) -> list[str]:
    """A text in pieces of three characters."""
    return [text[i : i + 3] for i in range(0, len(text), 3)] if text else []


async def stream(
    request: web.Request, payload: dict[str, Any], fault: str | None, with_usage: bool
) -> web.StreamResponse:
    """Send the events, all or as the fault says."""
    events = events_of(payload, with_usage)
    sent = events if fault not in ("cut", "end_early", "stream_error") else events[: len(events) // 2]
    if fault == "stream_error":
        sent = [*sent, json.dumps({"error": {"message": "upstream is gone", "code": 502}})]
    response = web.StreamResponse(headers={"Content-Type": "text/event-stream; charset=utf-8"})
    await response.prepare(request)
    await response.write(b": keep-alive\n\n")
    for data in sent:
        await response.write(f"data: {data}\n\n".encode())
    if fault == "cut" and request.transport:
        request.transport.close()
    elif fault is None or fault not in ("cut", "end_early", "stream_error", "no_done"):
        await response.write(b"data: [DONE]\n\n")
    return response
