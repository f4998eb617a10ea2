"""The lines of a batch's files: one for each request, one for each result.

request   {"custom_id": "9c01…", "method": "POST", "url": "/v1/chat/completions", "body": {…}}
result    {"custom_id": "9c01…", "response": {"status_code": 200, "body": {…}}, "error": null}
failure   {"custom_id": "9c01…", "response": null, "error": {"code": "batch_expired", "message": "…"}}
"""

import json
import logging
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any
from urllib.parse import urlsplit

from distill_dagster.config import EndpointConfig, GenerationConfig
from distill_dagster.teachers.batching.provider import PATH
from distill_dagster.teachers.body import request_body
from distill_dagster.teachers.bounded_json import read_json
from distill_dagster.teachers.completion import as_text, read_reply
from distill_dagster.teachers.protocol import Reply, Request
from distill_dagster.teachers.received import Received
from distill_dagster.teachers.retries import AttemptError, complaint, refusal_by
from distill_dagster.teachers.secrets import Secrets, without_secrets
from distill_dagster.teachers.unsupported import refuse_unsupported, refuse_unsupported_inside
from distill_dagster.teachers.usage import cached_tokens

LOG = logging.getLogger(__name__)
CUSTOM_ID = re.compile(rb'"custom_id"\s*:\s*"([\w.-]{1,200})"')
MOST_REQUESTS = 50_000  # of one batch, and the bytes of its file: OpenAI, "Batch API", rate limits
MOST_BYTES = 200_000_000


@dataclass(frozen=True, slots=True)
class ResultLine:
    """A line of a file of results."""

    line: bytes  # as it came
    value: dict[str, Any] | None  # None: it cannot be read
    broken: str = ""  # why not


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


def results_in(content: bytes) -> dict[str, ResultLine]:
    """The results of a file by request hash. A line that cannot be read belongs to the request that its text names."""
    found: dict[str, ResultLine] = {}
    nameless = 0
    for line in filter(bytes.strip, content.splitlines()):
        result = _read_line(line)
        key = result.value.get("custom_id") if result.value else _key_in(line)
        if isinstance(key, str):
            found[key] = result
        else:
            nameless += 1
    if nameless:
        LOG.warning("%d lines of a batch's results name no request and cannot be used", nameless)
    return found


def _read_line(line: bytes) -> ResultLine:
    try:
        value = read_json(line)
    except ValueError as e:
        return ResultLine(line, None, str(e))
    return ResultLine(line, value) if isinstance(value, dict) else ResultLine(line, None, "not an object")


def _key_in(line: bytes) -> str | None:
    found = CUSTOM_ID.search(line)
    return found[1].decode() if found else None


def read_result(
    result: ResultLine | None,
    request: Request,
    endpoint: EndpointConfig,
    generation: GenerationConfig,
    secrets: Secrets,
) -> Reply:
    """The reply in a result, with its cost; None is a request without a result.

    Raises:
        AttemptError: there is no answer in it; carries the line if something may have been generated.
        EndpointError: no request to this endpoint can work.
    """
    if result is None:
        raise _no_response(None, secrets, endpoint)
    if result.value is None:
        said = f"the batch has a result that cannot be read: {result.broken}"
        raise AttemptError("bad_response", said, passing=False, received=as_text(result.line, *secrets))
    response = result.value.get("response")
    if not isinstance(response, dict):
        raise _no_response(result.value.get("error"), secrets, endpoint)
    status, body = response.get("status_code"), response.get("body")
    host = urlsplit(endpoint.url).hostname or ""
    sent = partial(request_body, request, endpoint, generation)
    if status != 200:
        body = without_secrets(body, secrets)
        status = status if isinstance(status, int) else 500
        refuse_unsupported(status, body, sent(), host, endpoint)
        raise refusal_by(endpoint, status, {}, body)
    refuse_unsupported_inside(body, secrets, sent, host, endpoint)
    reply = read_reply(Received(result.line, body), request, secrets, endpoint.api_key)
    usage = body.get("usage") if isinstance(body, dict) else None
    return reply._replace(cost_usd=endpoint.cost(reply.prompt_tokens, reply.completion_tokens, cached_tokens(usage)))


def _no_response(error: Any, secrets: Secrets, endpoint: EndpointConfig) -> AttemptError:
    """The failure of a request that got no response, such as one that expired."""
    error = without_secrets(error, secrets)
    given = error.get("code") if isinstance(error, dict) else None
    failure = complaint(error, "the batch has no result for this request", endpoint.api_key)
    if failure.code == "bad_response":
        failure.code = given[:100] if isinstance(given, str) and given else "no_result"
    return failure
