"""A GGUF file in llama.cpp's server while it is timed. The server runs in this process, whose memory and time count.

Requests go to it as over HTTP, as messages, and their answers come back as a stream. Each request in flight has a slot
of the server, with room for the longest prompt and its answer. What a slot remembers of an earlier prompt is not used:
every round asks the same prompts.
"""

import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from distill_dagster.errors import ComputeError
from distill_dagster.evaluation.speed.engines import Messages, ModelFacts, Order, TimedAnswer
from distill_dagster.release.export.formats import GGUF_FILE, format_of, precision
from distill_dagster.release.export.llama_client import RequestRefused, connected, prompt_tokens
from distill_dagster.release.export.llama_server import HOST, open_server, threads

CACHE = "f16"  # the precision of keys and values, llama.cpp's own default
CACHE_BYTES = 2
COUNTING = 256  # tokens of context of a server that only counts those of prompts: its memory counts as the export's


class LlamaEngine:
    """A student in llama.cpp, with greedy decoding."""

    def __init__(self, order: Order) -> None:
        file = Path(order.timed.model.path) / GGUF_FILE
        assert order.timed.max_length is not None, "an export says how much room it makes"
        kv_bytes, context = shape_of(file)
        self._new, most = order.max_new_tokens, min(order.timed.max_length, context)
        self.facts = ModelFacts(
            parameters=order.timed.model.parameters or None,
            dtype=precision(format_of(order.timed.name)),
            threads=threads(),
            weight_bytes=file.stat().st_size,
            kv_bytes_per_token=kv_bytes,
        )
        self._room = self._longest(file, order.prompts, most) + self._new
        self._server = _opened(file, self._room, order.most_in_flight)
        self._senders = ThreadPoolExecutor(order.most_in_flight)

    def fits(self, messages: Messages) -> bool:
        """Whether the chat template accepts the prompt, and a slot has room for it and for its answer."""
        length = _length(self._server, messages)
        return length is not None and length + self._new <= self._room

    def answer(self, prompts: Sequence[Messages]) -> list[TimedAnswer]:
        """All prompts at once, each from a thread of its own."""
        start = time.perf_counter()
        return list(self._senders.map(lambda messages: self._ask(messages, start), prompts))

    def _longest(self, file: Path, prompts: Sequence[Messages], most: int) -> int:
        """The longest prompt that leaves room for an answer within `most` tokens; 0 if there is none."""
        server = _opened(file, COUNTING, 1)
        lengths = [length for messages in prompts if (length := _length(server, messages)) is not None]
        return max((length for length in lengths if length + self._new <= most), default=0)

    def _ask(self, messages: Messages, start: float) -> TimedAnswer:
        first: float | None = None
        last: dict[str, Any] = {}

        def hear(chunk: dict[str, Any]) -> bool:
            nonlocal first, last
            if first is None and any(choice["delta"].get("content") for choice in chunk.get("choices", [])):
                first = time.perf_counter() - start
            last = chunk
            return False  # go on

        body = {"messages": messages, "temperature": 0, "max_tokens": self._new, "cache_prompt": False}
        streamed = {"stream": True, "stream_options": {"include_usage": True}}
        self._server.handle_chat_completions(body | streamed, hear)
        end, usage = time.perf_counter() - start, last.get("usage")
        if usage is None:
            raise ComputeError(f"llama.cpp ended an answer to a prompt that fits with {last}: run again")
        return TimedAnswer(end, first or end, usage["prompt_tokens"], usage["completion_tokens"])


def _opened(file: Path, room: int, slots: int) -> Any:
    """The server; ComputeError: it cannot load the file."""
    try:
        return open_server(str(file), host=HOST, port=0, max_length=room, parallel=slots, cache=CACHE)
    except (RuntimeError, ValueError) as e:
        raise ComputeError(f"llama.cpp cannot load {file}: {e}") from e


def _length(server: Any, messages: Messages) -> int | None:
    """The tokens of a prompt; None if the chat template refuses it."""
    with connected(server.listening_address) as post:
        try:
            return len(prompt_tokens(post, messages))
        except RequestRefused:
            return None


def shape_of(file: Path) -> tuple[int, int]:
    """Bytes of one token's keys and values in the cache of all layers, and the tokens of the context."""
    import gguf

    fields = gguf.GGUFReader(file).fields
    architecture = fields["general.architecture"].contents()

    def count(name: str) -> int:
        return int(fields[f"{architecture}.{name}"].contents())

    values = count("attention.key_length") + count("attention.value_length")
    kv_bytes = count("block_count") * count("attention.head_count_kv") * values * CACHE_BYTES
    return kv_bytes, count("context_length")
