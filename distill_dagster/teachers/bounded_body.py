"""Reads no more of a response than a limit: a body may be endless, or a few kilobytes that unpack to gigabytes.

Packed bodies are asked for and read as gzip or deflate alone, packed once. So 16 KiB of the network, which are unpacked
in one piece, become 16 MiB at most.
"""

from typing import TYPE_CHECKING, Any

from distill_dagster.teachers.retries import BROKEN, AttemptError

if TYPE_CHECKING:
    import httpx2

LARGEST = 128 << 20  # bytes of a completion; the log-probabilities of 32,000 tokens, 20 each, have about 60 MiB
ACCEPTED = "gzip, deflate"
PACKING = {b"content-encoding", b"content-length", b"transfer-encoding"}  # headers of a body as it was sent


def bounded_client(largest: int, **settings: Any) -> "httpx2.AsyncClient":
    """OpenAI's client over aiohttp, with `settings`. A response of more than `largest` bytes is an AttemptError."""
    import httpx2
    import openai

    class BoundedClient(openai.DefaultAioHttpClient):
        async def send(self, request: httpx2.Request, *, stream: bool = False, **how: Any) -> httpx2.Response:
            response = await super().send(request, stream=True, **how)
            return response if stream else await _whole(response, largest)

    return BoundedClient(headers={"Accept-Encoding": ACCEPTED}, **settings)


async def _whole(response: "httpx2.Response", largest: int) -> "httpx2.Response":
    """The response with its body read and unpacked."""
    import httpx2

    parts, size = list[bytes](), 0
    try:
        packing = response.headers.get("content-encoding", "identity").strip().casefold()
        if packing not in ("identity", "gzip", "deflate", ""):
            raise _failure(
                response, f"with the content encoding {packing[:40]!r} is not read: {ACCEPTED} are asked for"
            )
        async for part in response.aiter_bytes():
            parts.append(part)
            size += len(part)
            if size > largest:
                raise _failure(response, f"of more than {largest >> 20} MiB is not read")
    finally:
        await response.aclose()
    headers = [(name, value) for name, value in response.headers.raw if name.lower() not in PACKING]
    return httpx2.Response(
        response.status_code,
        headers=headers,
        content=b"".join(parts),
        request=response.request,
        extensions=response.extensions,
    )


def _failure(response: "httpx2.Response", what: str) -> AttemptError:
    return AttemptError(BROKEN, f"{response.request.url.host}: a response {what}", passing=False)
