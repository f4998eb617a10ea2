"""Reads a response up to a limit: a body may be endless, or a few kilobytes that decompress to gigabytes.

    200, a body within the limit       read whole
    200, a longer body                 AttemptError; the rest is not read
    another status                     its first MiB: status and headers say what follows

The limit is what an honest answer can take, with room to spare. httpx2 decompresses in steps of 1 MiB.
"""

import contextlib
from typing import TYPE_CHECKING, Any

from distill_dagster.config import EndpointConfig, GenerationConfig
from distill_dagster.teachers.retries import BROKEN, AttemptError

if TYPE_CHECKING:
    import httpx2

BASE = 32 << 20  # bytes: text, thoughts, and what servers add
AN_ALTERNATIVE = 256  # bytes of one token with its log-probability and its bytes; about 90 are usual
OF_AN_ERROR = 1 << 20
OF_THE_BODY = {b"content-encoding", b"content-length", b"transfer-encoding"}  # headers of a body as it was sent


def largest_answer(endpoint: EndpointConfig, generation: GenerationConfig) -> int:
    """Most bytes of a completion that are read."""
    alternatives = endpoint.top_logprobs + 1 if endpoint.top_logprobs else 0
    return BASE + generation.max_new_tokens * alternatives * AN_ALTERNATIVE


def bounded_client(largest: int, **settings: Any) -> "httpx2.AsyncClient":
    """OpenAI's client over aiohttp, with `settings`; it reads at most `largest` bytes of a body, except of a stream.

    A longer one is an AttemptError.
    """
    import httpx2
    import openai

    class BoundedClient(openai.DefaultAioHttpClient):
        async def send(self, request: httpx2.Request, *, stream: bool = False, **options: Any) -> httpx2.Response:
            response = await super().send(request, stream=True, **options)
            return response if stream else await _read(response, largest)

    return BoundedClient(**settings)


async def _read(response: "httpx2.Response", largest: int) -> "httpx2.Response":
    """The response with its body decompressed, or with the beginning of it."""
    import httpx2

    parts, size, limit = list[bytes](), 0, largest if response.is_success else OF_AN_ERROR
    try:
        async with contextlib.aclosing(response.aiter_bytes()) as body:
            async for part in body:
                parts.append(part)
                size += len(part)
                if size > limit:
                    break
    finally:
        await response.aclose()
    if size > limit and response.is_success:
        parts.clear()  # or they would live as long as the error's traceback
        host = response.request.url.host
        raise AttemptError(BROKEN, f"{host}: a response of more than {limit >> 20} MiB is not read", passing=False)
    headers = [(name, value) for name, value in response.headers.raw if name.lower() not in OF_THE_BODY]
    return httpx2.Response(
        response.status_code,
        headers=headers,
        content=b"".join(parts)[:limit],
        request=response.request,
        extensions=response.extensions,
    )
