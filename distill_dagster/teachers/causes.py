"""Says why no request to an endpoint can work, and which setting to change.

    no certificate that this machine trusts     SSL_CERT_FILE
    a redirect, a web page, "no such path"       `url`
    "API key not valid", under any status        the variable that `api_key` names
    nobody listens, no such host, a proxy        `url`, HTTPS_PROXY

Servers agree neither on the status nor on the shape of these errors, so a status of 200 or 400 is judged by the text of
its body. A dropped connection, a full server or a refused row is none of them: retries.py decides on those.
"""

import errno
import json
import os
import re
import socket
import ssl
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from distill_dagster.config import EndpointConfig
from distill_dagster.errors import EndpointError, chain_of
from distill_dagster.teachers.complaint import read_complaint
from distill_dagster.teachers.faults import Fault, fault_of
from distill_dagster.teachers.received import Received
from distill_dagster.teachers.secrets import Secrets, without_secrets
from distill_dagster.teachers.waits import named_wait_s

CHARACTERS = 200  # of a body in a message
PATH = "/chat/completions"  # what a request adds to `url`
ERRORS = {"error", "errors", "detail", "message", "usage"}  # keys of an answer, or of an error, without words
PROXIES = ("HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY")
EXPIRED, OTHER_HOST = 10, {62, 64}  # OpenSSL's X509_V_ERR_CERT_HAS_EXPIRED, _HOSTNAME_MISMATCH, _IP_ADDRESS_MISMATCH
UNCLEAR = {Fault.NO_MODEL, Fault.REFUSED, Fault.UNKNOWN}  # faults that may come from a wrong setting
UNREACHABLE = {errno.ENETUNREACH, errno.EHOSTUNREACH, errno.ENETDOWN, errno.EHOSTDOWN}
_KEY, _BAD = r"(api|access|auth\w*)[\s_-]*(key|token)", "invalid|incorrect|wrong|missing|expired|revoked"
WRONG_KEY = re.compile(
    rf"{_KEY}\W{{0,3}}[^.]{{0,60}}\b({_BAD}|not valid)\b"
    rf"|\b({_BAD}|no)\s+(\w+\s+)?{_KEY}\b"
    r"|API_KEY_INVALID|invalid_api_key|authentication_error|\bunauthorized\b|\bnot authenticated\b",
    re.IGNORECASE,
)
WRONG_PATH = re.compile(
    r"unexpected endpoint|unknown (endpoint|path|route|url)|(endpoint|path|route|url|page|resource)\W+not found"
    r"|no (such )?(route|path|endpoint|handler)|cannot POST|method not allowed",
    re.IGNORECASE,
)
ROUTER = re.compile(r"endpoints? (found|available)|(data|privacy) policy|providers? (are|is) available", re.IGNORECASE)
NO_MORE = re.compile(r"\bmodel|^\W*(404\W*)?(\w+\W+){0,2}not found\W*$", re.IGNORECASE)
PLAIN_HTTP = re.compile(r"plain HTTP request was sent to HTTPS|client sent an HTTP request to an HTTPS", re.IGNORECASE)


def endpoint_error(endpoint: EndpointConfig, what: str, way_out: str) -> EndpointError:
    """The one message for a run: which endpoint, what is wrong, the setting to change."""
    return EndpointError(f"{place_of(endpoint)}: {what}\n  {way_out}")


def place_of(endpoint: EndpointConfig) -> str:
    """An endpoint's name in messages: the URL without its query, which may hold a secret."""
    return _without_query(endpoint.url)


def check_key_hint(endpoint: EndpointConfig) -> str:
    """What to do about a key that is not accepted."""
    if endpoint.api_key is None:
        return "no key was sent: name the environment variable that holds it in `api_key`"
    return f"check the key in the environment variable {endpoint.api_key}"


def cause_of_refusal(
    endpoint: EndpointConfig, status: int, headers: Mapping[str, str], body: Any
) -> EndpointError | None:
    """Why a status other than 200 means that no request can work; None if retries.py decides.

    `body` is JSON or text. Only its message is read, never a prompt that the server repeats.
    """
    complaint = read_complaint(body)
    text, has_wait = complaint.message, named_wait_s(headers, body, complaint.message) is not None
    said = f"answered {status}: {_shortened(text) or 'no message'}"
    if 300 <= status < 400:
        return _redirected(endpoint, status, headers.get("location"))
    if fault_of(status, complaint, has_wait) not in UNCLEAR:
        return None
    if status == 407:
        return endpoint_error(endpoint, said, f"the proxy wants a login: put it into the URL in {_proxy_variables()}")
    if PLAIN_HTTP.search(text):
        return endpoint_error(endpoint, said, "begin `url` with https://")
    if status == 404 and _is_about_the_request(text):
        return endpoint_error(
            endpoint,
            said,
            f"check `model`, which is {endpoint.model}, what is asked of it (`parameters`, `extra_body`), and the "
            f"account's settings at the provider; if they are right, {_check_url(endpoint)}",
        )
    if status == 404 and "model" in text.lower():
        return endpoint_error(endpoint, said, f"check `model`, which is {endpoint.model}, and `url`")
    if status in (404, 405) or (status == 400 and WRONG_PATH.search(text)):
        return endpoint_error(endpoint, said, _check_url(endpoint))
    if status in (400, 422) and WRONG_KEY.search(text):
        return endpoint_error(endpoint, said, check_key_hint(endpoint))
    return None


def cause_of_body(endpoint: EndpointConfig, received: Received, secrets: Secrets = ()) -> EndpointError | None:
    """Why a body of status 200 shows that the endpoint cannot be asked; None if it may be a chat completion."""
    if received.content.lstrip().startswith(b"<"):
        return endpoint_error(endpoint, "answered with a web page, not with JSON", _check_url(endpoint))
    body = received.value
    if isinstance(body, list) and len(body) == 1:
        body = body[0]
    if not isinstance(body, dict) or "choices" in body:
        return None
    return _cause_of_json(endpoint, without_secrets(body, secrets))


def cause_of_connection(endpoint: EndpointConfig, error: BaseException) -> EndpointError | None:
    """Why a connection cannot be made; None if it was made and then lost."""
    chain = list(chain_of(error))
    for cause in reversed(chain):  # the innermost comes from `ssl`; aiohttp's own subclasses of it say less
        if isinstance(cause, ssl.SSLCertVerificationError):
            return _untrusted(endpoint, cause)
        if isinstance(cause, ssl.SSLError):
            return endpoint_error(endpoint, f"no TLS ({cause.reason})", "the server may want http://: check `url`")
    if any("Proxy" in type(cause).__name__ for cause in chain):
        return endpoint_error(endpoint, f"the proxy fails: {chain[-1]}", f"check {_proxy_variables()}, or set NO_PROXY")
    for cause in chain:
        if found := _cause_of_socket(endpoint, cause):
            return found
    return None


def is_certain(error: BaseException) -> bool:
    """Whether a connection that could not be made will not work a moment later either: TLS, or an unknown host."""
    return any(
        isinstance(cause, ssl.SSLError) or (isinstance(cause, socket.gaierror) and cause.errno == socket.EAI_NONAME)
        for cause in chain_of(error)
    )


def _cause_of_json(endpoint: EndpointConfig, body: dict[str, Any]) -> EndpointError | None:
    """JSON without a list of choices is an error by another name, or comes from another path."""
    complaint = read_complaint(body)
    fault, text = fault_of(None, complaint), complaint.message
    said = f"answered 200 without a chat completion: {_shortened(text or json.dumps(body, allow_nan=False))}"
    if fault == Fault.KEY or (fault in UNCLEAR and WRONG_KEY.search(text)):
        return endpoint_error(endpoint, said, check_key_hint(endpoint))
    if fault in UNCLEAR and (WRONG_PATH.search(text) or not (text or body.keys() & ERRORS)):
        return endpoint_error(endpoint, said, _check_url(endpoint))
    return None


def _redirected(endpoint: EndpointConfig, status: int, location: str | None) -> EndpointError:
    target = _without_query(location or "")
    here, there = urlsplit(endpoint.url).hostname, urlsplit(target).hostname
    wanted = target.removesuffix("/").removesuffix(PATH)
    if there and there != here:
        return endpoint_error(
            endpoint,
            f"redirects ({status}) to another host, {there}; the key was not sent there",
            f"if that host is the right one, set `url` to {wanted}",
        )
    way_out = f"set `url` to {wanted}" if there else _check_url(endpoint)
    return endpoint_error(endpoint, f"redirects ({status}) to {target or 'an unnamed place'}", way_out)


def _untrusted(endpoint: EndpointConfig, error: ssl.SSLCertVerificationError) -> EndpointError:
    what = f"its certificate is not accepted: {error.verify_message}"
    if error.verify_code == EXPIRED:
        return endpoint_error(endpoint, what, "renew the server's certificate, and check this machine's clock")
    if error.verify_code in OTHER_HOST:
        return endpoint_error(endpoint, what, "check the host in `url`: the certificate belongs to another one")
    return endpoint_error(
        endpoint, what, "if you trust the server, put its certificate authority into the file that SSL_CERT_FILE names"
    )


def _cause_of_socket(endpoint: EndpointConfig, cause: BaseException) -> EndpointError | None:
    parts = urlsplit(endpoint.url)
    if isinstance(cause, socket.gaierror):
        return endpoint_error(
            endpoint,
            f"the host name {parts.hostname} is not known ({cause.strerror})",
            "check `url` and the network; behind a proxy, set HTTPS_PROXY",
        )
    if isinstance(cause, ConnectionRefusedError):
        port = parts.port or (443 if parts.scheme == "https" else 80)
        return endpoint_error(
            endpoint,
            f"connection refused: nothing listens on {parts.hostname}:{port}",
            "start the server, or correct host and port in `url`",
        )
    if isinstance(cause, TimeoutError) or (isinstance(cause, OSError) and cause.errno in UNREACHABLE):
        return endpoint_error(
            endpoint, f"cannot be reached ({cause})", "check `url`, the network and the firewall; HTTPS_PROXY if needed"
        )
    return None


def _is_about_the_request(text: str) -> bool:
    """Whether a 404 comes from a router that was reached: it says more than that a path or a model is not there."""
    return ROUTER.search(text) is not None or not (
        not text or text.lstrip().startswith("<") or WRONG_PATH.search(text) or NO_MORE.search(text)
    )


def _check_url(endpoint: EndpointConfig) -> str:
    path = urlsplit(endpoint.url).path
    if path.endswith(PATH):
        return f"`url` must end before {PATH}, which each request adds: remove it"
    if "/v1" not in path:
        return f"check `url`: it usually ends in /v1, and here it ends in {path or 'the host'}"
    return f"check `url`: it usually ends in /v1, and {PATH} is added to it"


def _proxy_variables() -> str:
    """The proxy variables that are set, or what they are called."""
    found = [name for name in PROXIES if os.environ.get(name) or os.environ.get(name.lower())]
    return " and ".join(found) or PROXIES[0]


def _without_query(url: str) -> str:
    return urlsplit(url)._replace(query="", fragment="").geturl()


def _shortened(text: str) -> str:
    plain = " ".join(text.split())
    return plain if len(plain) <= CHARACTERS else f"{plain[:CHARACTERS]}…"
