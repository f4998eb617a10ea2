"""The HTTP client that requests are sent with: OpenAI's, over aiohttp.

It follows no redirect: a redirect can turn a POST into a GET, and can take the key to another host.
"""

import ssl
from functools import cache
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from distill_dagster.config import EndpointConfig

if TYPE_CHECKING:
    import openai

CONNECT_TIMEOUT_S = 20.0


def make_client(endpoint: EndpointConfig, key: str | None) -> "openai.AsyncOpenAI":
    """OpenAI's client with its retries off, over aiohttp, which takes less CPU time than its default transport.

    A query in the URL, such as Azure's `?api-version=…`, follows the path of each request.
    """
    import httpx2
    import openai

    limits = httpx2.Limits(max_connections=endpoint.concurrency, max_keepalive_connections=endpoint.concurrency)
    timeout = httpx2.Timeout(None, connect=CONNECT_TIMEOUT_S)  # sending.py limits the whole attempt
    parts = urlsplit(endpoint.url)
    http_client = openai.DefaultAioHttpClient(
        params=parts.query,
        limits=limits,
        timeout=timeout,
        verify=trusted(),
        follow_redirects=False,
    )
    return openai.AsyncOpenAI(
        base_url=parts._replace(query="").geturl(),
        api_key=key or "none",
        max_retries=0,
        timeout=timeout,
        http_client=http_client,
    )


@cache
def trusted() -> ssl.SSLContext:
    """The certificates that the client trusts by default. Reading them takes 20 ms, so it is done once a process."""
    import httpx2

    return httpx2.create_ssl_context()
