"""An ONNX folder in onnxruntime-genai while it is timed.

The prompts in flight are one batch, padded on the right: the runtime takes the tokens in front of the padding as the
prompt. An answer is there when the token that ends it is, although the batch goes on for the others.
"""

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from distill_dagster.evaluation.speed.engines import Messages, ModelFacts, Order, TimedAnswer
from distill_dagster.release.export.formats import format_of, precision
from distill_dagster.release.export.llama_server import threads
from distill_dagster.release.export.onnx_answers import GREEDY, library, prompt_tokens
from distill_dagster.release.export.onnx_folder import SETTINGS

CACHE_BYTES = 4  # keys and values are float32 in all formats for the CPU


@dataclass(slots=True)
class _Growing:
    """The answer to one prompt as it grows; times count from the start of its batch."""

    prompt: list[int]
    tokens: list[int] = field(default_factory=list)
    first_s: float | None = None
    end_s: float | None = None


class OnnxEngine:
    """A student in onnxruntime-genai, with greedy decoding."""

    def __init__(self, order: Order) -> None:
        assert order.timed.max_length is not None, "an export says how much room it makes"
        folder = Path(order.timed.model.path)
        settings = json.loads((folder / SETTINGS).read_text(encoding="utf-8"))["model"]
        self._new, self._most = order.max_new_tokens, min(order.timed.max_length, settings["context_length"])
        self._open(folder)
        last = {prompt_tokens(self._tokenizer, messages)[-1] for messages in order.prompts}
        if self._tokenizer.pad_token_id in last:  # it would be taken for padding
            self._open(folder, next(token for token in range(settings["vocab_size"]) if token not in last))
        self._ends = set(self._tokenizer.eos_token_ids)
        self.facts = ModelFacts(
            parameters=order.timed.model.parameters or None,
            dtype=precision(format_of(order.timed.name)),
            threads=threads(),
            weight_bytes=sum(file.stat().st_size for file in folder.glob("*.onnx*")),
            kv_bytes_per_token=kv_bytes_per_token(settings["decoder"]),
        )

    def fits(self, messages: Messages) -> bool:
        """Whether the export makes room for the prompt and for its answer."""
        return len(prompt_tokens(self._tokenizer, messages)) + self._new <= self._most

    def answer(self, prompts: Sequence[Messages]) -> list[TimedAnswer]:
        """All prompts as one batch."""
        start = time.perf_counter()
        rows = [_Growing(prompt_tokens(self._tokenizer, messages)) for messages in prompts]
        generator = self._started(rows)
        while any(row.end_s is None for row in rows):
            generator.generate_next_token()
            for row, token in zip(rows, generator.get_next_tokens(), strict=True):
                if row.end_s is None:
                    self._take(row, int(token), start)
        return [TimedAnswer(row.end_s or 0.0, row.first_s, len(row.prompt), len(row.tokens)) for row in rows]

    def _open(self, folder: Path, pad: int | None = None) -> None:
        """Open the model with as many threads as PyTorch has, and perhaps another token for padding."""
        config = library().Config(str(folder))
        padding = {} if pad is None else {"pad_token_id": pad}
        decoder = {"session_options": {"intra_op_num_threads": threads()}}
        config.overlay(json.dumps({"model": {"decoder": decoder, **padding}}, allow_nan=False))
        self._model = library().Model(config)
        self._tokenizer = library().Tokenizer(self._model)
        self._pad = self._tokenizer.pad_token_id if pad is None else pad

    def _started(self, rows: Sequence[_Growing]) -> Any:
        import numpy as np

        longest = max(len(row.prompt) for row in rows)
        padded = [row.prompt + [self._pad] * (longest - len(row.prompt)) for row in rows]
        parameters = library().GeneratorParams(self._model)
        parameters.set_search_options(max_length=longest + self._new, batch_size=len(rows), **GREEDY)
        generator = library().Generator(self._model, parameters)
        generator.append_tokens(np.array(padded, dtype=np.int32))  # (B, T)
        return generator

    def _take(self, row: _Growing, token: int, start: float) -> None:
        row.tokens.append(token)
        row.first_s = row.first_s or time.perf_counter() - start
        if token in self._ends or len(row.tokens) == self._new:
            self._tokenizer.decode([token for token in row.tokens if token not in self._ends])
            row.end_s = time.perf_counter() - start


def kv_bytes_per_token(decoder: dict[str, Any]) -> int:
    """Bytes of one token's keys and values in the cache of all layers, from the `decoder` of genai_config.json."""
    values = 2 * decoder["num_key_value_heads"] * decoder["head_size"]
    return decoder["num_hidden_layers"] * values * CACHE_BYTES
