"""Servers that are not what a URL promises: redirects, pages, errors of status 200, certificates that nobody trusts.

    with wrong_place(redirect(301, "https://elsewhere.example/v1/chat/completions")) as place:
        ...                                      # place.url is http://127.0.0.1:40124
        place.requests                           # [("POST", "/v1/chat/completions", {"Authorization": …})]

Each runs in a thread of this process, on a free port of loopback, and gives every request the same response.
"""

import contextlib
import datetime
import ipaddress
import json
import ssl
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any


@dataclass
class Place:
    """A running server, and what it has received: method, path with query, headers."""

    url: str
    requests: list[tuple[str, str, dict[str, str]]] = field(default_factory=list)


@dataclass(frozen=True)
class Response:
    """What every request gets."""

    status: int
    body: str
    headers: dict[str, str] = field(default_factory=dict)


def redirect(status: int, location: str) -> Response:
    """A redirect to another URL."""
    return Response(status, "", {"Location": location})


def page(status: int = 200) -> Response:
    """A web page."""
    return Response(status, "<!DOCTYPE html><html><body>Welcome</body></html>", {"Content-Type": "text/html"})


def said(status: int, body: Any) -> Response:
    """A JSON body."""
    return Response(status, json.dumps(body), {"Content-Type": "application/json"})


def completion(text: str = "OK") -> Response:
    """A chat completion."""
    choice = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
    usage = {"prompt_tokens": 3, "completion_tokens": 1, "total_tokens": 4}
    return said(200, {"id": "c", "object": "chat.completion", "model": "made", "choices": [choice], "usage": usage})


@contextlib.contextmanager
def wrong_place(response: Response, certificate: Path | None = None) -> Iterator[Place]:
    """A server that gives every request the same response; over TLS if it has a certificate (with its key)."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def answer(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            place.requests.append((self.command, self.path, dict(self.headers)))
            content = response.body.encode()
            self.send_response(response.status)
            for name, value in {**response.headers, "Content-Length": str(len(content))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST = answer

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing."""

    class Quiet(ThreadingHTTPServer):
        def handle_error(self, request: object, client_address: object) -> None:
            """A client that refuses the certificate closes the connection."""

    server = Quiet(("127.0.0.1", 0), Handler)
    if certificate is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        server.socket = context.wrap_socket(server.socket, server_side=True)
    place = Place(f"{'https' if certificate else 'http'}://127.0.0.1:{server.server_port}")
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield place
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def write_certificate(path: Path, days: int = 1, host: str = "127.0.0.1") -> Path:
    """A self-signed certificate with its key, for an address; with a negative number of days it has expired."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "made for a test")])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=9))
        .not_valid_after(now + datetime.timedelta(days=days))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(host))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    form = serialization.PrivateFormat.PKCS8
    secret = key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption())
    path.write_bytes(secret + made.public_bytes(serialization.Encoding.PEM))
    return path
