"""Servers on loopback to which the tests send alerts: a webhook, which can refuse them, and a mail server."""

import contextlib
import email
import json
import socket
import threading
from email.message import Message as Mail
from email.policy import default
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from aiosmtpd.controller import Controller


class Webhook:
    """What was posted, and the status of the next replies."""

    def __init__(self) -> None:
        self.posts: list[dict] = []
        self.tried, self.status, self.url = 0, 200, ""


@contextlib.contextmanager
def webhook():
    """A Webhook that listens; `url` is its Apprise URL, with a secret in the path."""
    state = Webhook()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            state.tried += 1
            if state.status == 200:
                state.posts.append(json.loads(body))
            self.send_response(state.status)
            self.end_headers()

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    state.url = f"json://127.0.0.1:{server.server_port}/hook-S3cretPath"
    try:
        yield state
    finally:
        server.shutdown()
        server.server_close()


class Mailbox:
    """An SMTP server's handler: the mails that came in."""

    def __init__(self) -> None:
        self.mails: list[Mail] = []
        self.url = ""

    async def handle_DATA(self, server, session, envelope):
        self.mails.append(email.message_from_bytes(envelope.content, policy=default))
        return "250 OK"


@contextlib.contextmanager
def mailbox():
    """A Mailbox that listens; `url` is its Apprise URL."""
    box = Mailbox()
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    controller = Controller(box, hostname="127.0.0.1", port=port)
    controller.start()
    try:
        box.url = f"mailto://127.0.0.1:{port}?from=distill@example.org&to=oncall@example.org"
        yield box
    finally:
        controller.stop()
