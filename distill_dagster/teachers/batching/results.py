"""The lines of a batch's files: one for each request, one for each result.

request   {"custom_id": "9c01…", "method": "POST", "url": "/v1/chat/completions", "body": {…}}
result    {"custom_id": "9c01…", "response": {"status_code": 200, "body": {…}}, "error": null}
failure   {"custom_id": "9c01…", "response": null, "error": {"code": "batch_expired", "message": "…"}}
"""

import json
from collections.abc import Iterator, Sequence
from typing import Any
from urllib.parse import urlsplit

from distill_dagster.config import EndpointConfig, GenerationConfig
from distill_dagster.teachers.batching.provider import PATH
from distill_dagster.teachers.body import request_body
from distill_dagster.teachers.completion import load_json, read_reply
from distill_dagster.teachers.pricing import cached_tokens
from distill_dagster.teachers.protocol import Reply, Request
from distill_dagster.teachers.retries import AttemptError, refusal_by
from distill_dagster.teachers.secrets import without_secrets
from distill_dagster.teachers.unsupported import refuse_unsupported

MOST_REQUESTS = 50_000  # of one batch, and the bytes of its file: OpenAI, "Batch API", rate limits
MOST_BYTES = 200_000_000


def lines_of(
    requests: Sequence[Request], endpoint: EndpointConfig, generation: GenerationConfig
) -> Iterator[list[tuple[str, bytes]]]:
    """The files of a batch each: request hashes and lines, as many as one batch may have."""
    chunk: list[tuple[str, bytes]] = []
    size = 0
    for request in requests:
        line = _line(request, endpoint, generation)
        if chunk and (len(chunk) == MOST_REQUESTS or size + len(line) > MOST_BYTES):
            yield chunk
            chunk, size = [], 0
        chunk.append((request.request_hash, line))
        size += len(line)
    if chunk:
        yield chunk


def _line(request: Request, endpoint: EndpointConfig, generation: GenerationConfig) -> bytes:
    body = request_body(request, endpoint, generation)
    line = {"custom_id": request.request_hash, "method": "POST", "url": PATH, "body": body}
    return json.dumps(line, ensure_ascii=True, separators=(",", ":"), allow_nan=False).encode() + b"\n"


def results_in(content: bytes) -> dict[str, dict[str, Any]]:
    """The results of a file by request hash; a line that cannot be read is left out, and its request asked again."""
    found: dict[str, dict[str, Any]] = {}
    for line in content.splitlines():
        try:
            result = load_json(line)
        except ValueError:
            continue
        if isinstance(result, dict) and isinstance(result.get("custom_id"), str):
            found[result["custom_id"]] = result
    return found


def read_result(
    result: dict[str, Any] | None,
    request: Request,
    endpoint: EndpointConfig,
    generation: GenerationConfig,
    key: str | None,
    secrets: Sequence[str | None],
) -> Reply:
    """The reply in a result, with its cost; None is a request without a result.

    Raises:
        AttemptError: there is no answer in it.
        EndpointError: no request to this endpoint can work.
    """
    result = result or {}
    response = result.get("response")
    if not isinstance(response, dict):
        raise _failure(result.get("error"), secrets)
    status, body = response.get("status_code"), response.get("body")
    if status != 200:
        body, host = without_secrets(body, secrets), urlsplit(endpoint.url).hostname or ""
        status = status if isinstance(status, int) else 500
        refuse_unsupported(status, body, request_body(request, endpoint, generation), host, endpoint)
        raise refusal_by(endpoint, status, {}, body)
    content = json.dumps(body, allow_nan=False).encode()
    reply = read_reply(content, request, key, endpoint.api_key)
    return reply._replace(cost_usd=endpoint.cost(reply.prompt_tokens, reply.completion_tokens, cached_tokens(content)))


def _failure(error: Any, secrets: Sequence[str | None]) -> AttemptError:
    """The failure of a request that got no response, such as one that expired."""
    error = without_secrets(error, secrets)
    if not isinstance(error, dict):
        return AttemptError("no_result", "the batch has no result for this request")
    return AttemptError(str(error.get("code") or "no_result"), str(error.get("message") or "no message")[:300])
