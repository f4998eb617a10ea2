"""Asks a llama-server over HTTP, as an application would: messages in, text out.

/apply-template, /tokenize    the prompt's tokens, as llama.cpp's own template engine and tokenizer make them
/v1/chat/completions          the answer, greedily
"""

import http.client
import json
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from distill_dagster.errors import ComputeError
from distill_dagster.release.export.children import environment, failed
from distill_dagster.release.export.formats import GGUF_FILE
from distill_dagster.release.export.llama_server import SECONDS, command
from distill_dagster.release.export.specs import ExportedAnswer, RuntimeSpec

Post = Callable[[str, Mapping[str, Any]], dict[str, Any]]


class RequestRefused(Exception):
    """The server refused a request, such as a prompt that does not fit."""


@contextmanager
def llama_server(file: Path, max_length: int, *options: str) -> Iterator[str]:
    """A llama-server over a GGUF file, on a free port of loopback, while the block lasts; gives its address.

    `options` are more of those of llama_server.py.

    Raises:
        ComputeError: it did not start.
    """
    with tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as log:
        server = subprocess.Popen(
            [*command(file, port=0, max_length=max_length), "--with-parent", *options],
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            env=environment(),
        )
        assert server.stdout is not None, "its output is a pipe"
        try:
            address = server.stdout.readline().strip()
            if not address:
                code = server.wait()
                log.seek(0)
                raise failed(f"llama.cpp's server over {file}", code, log.read())
            yield address
        finally:
            server.terminate()
            server.wait()
            server.stdout.close()


def ask_llama(spec: RuntimeSpec) -> Iterator[ExportedAnswer]:
    """The answer to each prompt, in order.

    Raises:
        ComputeError: the server did not start, or ended.
    """
    with llama_server(Path(spec.folder) / GGUF_FILE, spec.max_length) as address, connected(address) as post:
        for messages in spec.prompts:
            yield _answer(post, messages, spec.max_new_tokens)


@contextmanager
def connected(address: str) -> Iterator[Post]:
    """A function that posts JSON to a server and returns its JSON, over one connection.

    It raises RequestRefused if the server refuses the request, and ComputeError if it does not answer.
    """
    connection = http.client.HTTPConnection(str(urlsplit(address).netloc), timeout=SECONDS)

    def post(path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        try:
            connection.request("POST", path, json.dumps(body, allow_nan=False), {"Content-Type": "application/json"})
            response = connection.getresponse()
            text = response.read()
        except (OSError, http.client.HTTPException) as e:
            raise ComputeError(f"llama.cpp's server at {address} does not answer ({e!r}): run again") from e
        if response.status != http.HTTPStatus.OK:
            raise RequestRefused(text.decode("utf-8", "replace"))
        return json.loads(text)

    try:
        yield post
    finally:
        connection.close()


def prompt_tokens(post: Post, messages: Sequence[Mapping[str, str]]) -> list[int]:
    """A prompt's tokens, as llama.cpp's own template engine and tokenizer make them; RequestRefused: it has none."""
    rendered = post("/apply-template", {"messages": messages})["prompt"]
    return post("/tokenize", {"content": rendered, "add_special": True, "parse_special": True})["tokens"]


def _answer(post: Post, messages: Sequence[Mapping[str, str]], max_new_tokens: int) -> ExportedAnswer:
    """One answer; one with the finish reason `error` if the server refuses the prompt."""
    prompt: list[int] = []
    try:
        prompt = prompt_tokens(post, messages)
        body = {"messages": messages, "temperature": 0, "max_tokens": max_new_tokens, "cache_prompt": False}
        reply = post("/v1/chat/completions", body)
    except RequestRefused:
        return ExportedAnswer(prompt=prompt, text="", finish_reason="error")
    (choice,), timings = reply["choices"], reply["timings"]
    return ExportedAnswer(
        prompt=prompt,
        text=choice["message"]["content"] or "",
        finish_reason=choice["finish_reason"],
        completion_tokens=reply["usage"]["completion_tokens"],
        latency_ms=timings["prompt_ms"] + timings["predicted_ms"],
    )
