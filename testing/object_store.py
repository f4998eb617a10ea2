"""Real S3 servers on loopback, which s3fs and obstore find through the environment, as usual."""

import os
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import boto3
import pytest
import s3fs
from moto.server import ThreadedMotoServer

from testing.dev_server import free_port
from testing.waiting import wait_for


@contextmanager
def open_bucket(name: str) -> Iterator[Any]:
    """A boto3 client of a server with an empty bucket; the server ends with the block."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    _one_by_one(server)
    with served_at("http://{}:{}".format(*server.get_host_and_port())):
        client = boto3.client("s3")
        client.create_bucket(Bucket=name)
        yield client
    server.stop()


def _one_by_one(server: ThreadedMotoServer) -> None:
    """Answer one request after the other: moto looks at a condition and writes in two steps, S3 in one."""
    inner, lock = server._server.app, threading.Lock()

    def app(environ, start_response):
        with lock:
            return inner(environ, start_response)

    server._server.app = app


@contextmanager
def open_careless_bucket(name: str, folder: Path) -> Iterator[Any]:
    """The same of nanio, which takes the headers of conditional writes and ignores them."""
    port, command = free_port(), [sys.executable, "-m", "nanio", "serve", "--host", "127.0.0.1"]
    credentials = {"NANIO_ACCESS_KEY": "key", "NANIO_SECRET_KEY": "secret"}
    folder.mkdir()
    (folder / "data").mkdir()
    with (folder / "server.log").open("wb") as log:
        server = subprocess.Popen(
            [*command, "--port", str(port), "--data-dir", str(folder / "data")],
            env={**os.environ, **credentials},
            stdout=log,
            stderr=log,
        )
    try:
        url = f"http://127.0.0.1:{port}"
        wait_for(lambda: _answers(f"{url}/", server, folder / "server.log"), "the server's start")
        with served_at(url):
            client = boto3.client("s3")
            client.create_bucket(Bucket=name)
            yield client
    finally:
        server.kill()
        server.wait()


def _answers(url: str, server: subprocess.Popen, log: Path) -> bool:
    """Whether the server answers anything."""
    assert server.poll() is None, f"the server does not start:\n{log.read_text()}"
    try:
        urllib.request.urlopen(url, timeout=5)
    except urllib.error.HTTPError:
        return True
    except OSError:
        return False
    return True


@contextmanager
def served_at(url: str) -> Iterator[None]:
    """The environment of an S3 server's clients."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ENDPOINT_URL", url)
        patch.setenv("AWS_ACCESS_KEY_ID", "key")
        patch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
        patch.setenv("AWS_DEFAULT_REGION", "us-east-1")
        s3fs.S3FileSystem.clear_instance_cache()  # it would go on with the address of an earlier server
        yield
