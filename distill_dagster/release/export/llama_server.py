"""Serves a GGUF file with llama.cpp's own server, from the package xllamacpp, until it is interrupted.

    python -m distill_dagster.release.export.llama_server student.gguf --port 8080

It speaks OpenAI's protocol at /v1. The first line of its output is its address; llama.cpp's own log follows on stderr.
"""

import argparse
import contextlib
import http.client
import os
import signal
import sys
import threading
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from distill_dagster.process import end_with_parent

HOST = "127.0.0.1"  # the server has no login
SECONDS = 600  # after which a request counts as lost
MODULE = "distill_dagster.release.export.llama_server"


def command(file: Path, *, host: str = HOST, port: int, max_length: int) -> list[str]:
    """The command that serves a GGUF file; port 0 takes a free one."""
    at = ["--host", host, "--port", str(port)]
    return [sys.executable, "-m", MODULE, str(file), *at, "--max-length", str(max_length)]


def open_server(file: str, *, host: str, port: int, max_length: int, parallel: int, cache: str) -> Any:
    """llama.cpp's server in this process: `parallel` requests at once, each of `max_length` tokens.

    Port 0 takes a free one. `cache` is the precision of keys and values: llama.cpp's own default is f16.
    """
    llama = _library()
    settings = llama.CommonParams()
    settings.model.path = file
    settings.hostnames, settings.port = [host], port
    settings.n_ctx, settings.n_parallel = max_length * parallel, parallel
    settings.cache_type_k = settings.cache_type_v = llama.ggml_type[f"GGML_TYPE_{cache.upper()}"]
    settings.use_jinja = True
    settings.reasoning_format = llama.common_reasoning_format.COMMON_REASONING_FORMAT_NONE  # our parser finds it
    settings.cpuparams.n_threads = settings.cpuparams_batch.n_threads = threads()
    settings.verbosity = 0
    server = llama.Server(settings)
    _wait_for_queue(server.listening_address)
    return server


def _wait_for_queue(address: str) -> None:
    """Wait until the server answers from its queue. One that is closed before its queue began to run never ends."""
    connection = http.client.HTTPConnection(str(urlsplit(address).netloc), timeout=SECONDS)
    with contextlib.closing(connection):
        connection.request("GET", "/slots")
        connection.getresponse().read()


def _library() -> Any:
    """xllamacpp, whose names are those of a compiled module, so that pyright finds none."""
    import xllamacpp

    return xllamacpp


def threads() -> int:
    """As many as torch takes: `OMP_NUM_THREADS`, or the cores that this process may use."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return int(os.environ.get("OMP_NUM_THREADS") or cores)


def main(arguments: list[str] | None = None) -> int:
    """Serve until SIGINT or SIGTERM."""
    parser = argparse.ArgumentParser(prog=f"python -m {MODULE}", description=__doc__)
    parser.add_argument("file")
    parser.add_argument("--host", default=HOST)
    parser.add_argument("--port", type=int, default=8080)
    parser.add_argument("--max-length", type=int, default=2048)
    parser.add_argument("--parallel", type=int, default=1)
    parser.add_argument("--cache", choices=["f16", "f32"], default="f16")
    parser.add_argument("--with-parent", action="store_true", help="end when the parent process ends")
    given = parser.parse_args(arguments)
    if given.with_parent:
        end_with_parent()
    ended = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: ended.set())
    server = open_server(
        given.file,
        host=given.host,
        port=given.port,
        max_length=given.max_length,
        parallel=given.parallel,
        cache=given.cache,
    )
    print(server.listening_address, flush=True)
    ended.wait()
    return 0


if __name__ == "__main__":
    sys.exit(main())
