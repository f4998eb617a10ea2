"""The HTTP client that requests are sent with: OpenAI's, over aiohttp.

It follows no redirect: a redirect can turn a POST into a GET, and can take the key to another host. It reads a response
up to a limit (bounded_body.py).

OpenAI's client also reads the environment: OPENAI_ORG_ID, OPENAI_PROJECT_ID and OPENAI_CUSTOM_HEADERS become headers
of every request. They are meant for OpenAI, and an endpoint may be of another provider. So only the headers that the
config names are sent.
"""

import os
import ssl
from functools import cache
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from distill_dagster.config import EndpointConfig
from distill_dagster.errors import EndpointError
from distill_dagster.teachers.bounded_body import BASE, bounded_client

if TYPE_CHECKING:
    import openai

CONNECT_TIMEOUT_S = 20.0
AUTHORIZATION = "Authorization"


def make_client(endpoint: EndpointConfig, key: str | None, largest_body: int = BASE) -> "openai.AsyncOpenAI":
    """OpenAI's client with its retries off, over aiohttp, which takes less CPU time than its default transport.

    A query in the URL, such as Azure's `?api-version=…`, follows the path of each request. Of a body, at most
    `largest_body` bytes are read.

    Raises:
        EndpointError: a variable that `headers` names is not set.
    """
    import httpx2
    import openai

    limits = httpx2.Limits(max_connections=endpoint.concurrency, max_keepalive_connections=endpoint.concurrency)
    timeout = httpx2.Timeout(None, connect=CONNECT_TIMEOUT_S)  # sending.py limits the whole attempt
    parts = urlsplit(endpoint.url)
    http_client = bounded_client(
        largest_body, params=parts.query, limits=limits, timeout=timeout, verify=trusted(), follow_redirects=False
    )
    client = openai.AsyncOpenAI(
        base_url=parts._replace(query="").geturl(),
        api_key=key or "none",
        max_retries=0,
        timeout=timeout,
        default_headers=_headers(endpoint, key),
        http_client=http_client,
    )
    client.organization = client.project = None  # those of the environment; the config's are among the headers
    return client


def no_key(key: str | None) -> dict[str, Any]:
    """The headers with which a request without a key is sent: OpenAI's client refuses one that does not say so."""
    import openai

    return {} if key else {AUTHORIZATION: openai.Omit()}


def read_headers(endpoint: EndpointConfig) -> dict[str, str]:
    """The headers that the config names, with the values of the environment variables in them.

    Raises:
        EndpointError: a variable is not set.
    """
    named = {"OpenAI-Organization": endpoint.organization, "OpenAI-Project": endpoint.project, **endpoint.headers}
    return {name: _value(endpoint, name, value) for name, value in named.items() if value is not None}


def secrets_of(endpoint: EndpointConfig, key: str | None) -> list[str | None]:
    """The key and the header values from the environment: what no error may show."""
    headers = read_headers(endpoint)
    return [key, *(headers[name] for name, value in endpoint.headers.items() if value.startswith("$"))]


def _value(endpoint: EndpointConfig, name: str, value: str) -> str:
    if not value.startswith("$"):
        return value
    given = os.environ.get(value[1:], "").strip()
    if not given or not (given.isascii() and given.isprintable()):
        raise EndpointError(
            f"{urlsplit(endpoint.url).hostname}: the header {name} is expected in the environment variable "
            f"{value[1:]}, which is not set, empty, or holds what no header can: export it, and start again"
        )
    return given


def _headers(endpoint: EndpointConfig, key: str | None) -> dict[str, Any]:
    """The config's headers, and `openai.Omit` for those that OpenAI's client would take from the environment."""
    import openai

    ours = {**read_headers(endpoint), **({AUTHORIZATION: f"Bearer {key}"} if key else {})}
    lines = os.environ.get("OPENAI_CUSTOM_HEADERS", "").split("\n")
    foreign = {name for line in lines if (name := line.partition(":")[0].strip())}
    kept = {name.casefold() for name in ours}
    omitted = {name: openai.Omit() for name in foreign if name.casefold() not in kept}
    return {**omitted, "Content-Type": "application/json", **no_key(key), **ours}


@cache
def trusted() -> ssl.SSLContext:
    """The certificates that the client trusts by default. Reading them takes 20 ms, so it is done once a process."""
    import httpx2

    return httpx2.create_ssl_context()
