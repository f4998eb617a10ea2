"""How a model answers while it is timed: the interface of an engine, and the project's own.

The runtimes of exported students are in release/export/, which starts a process of its own with them.

An answer covers everything that a caller waits for: chat template, tokenizer, decoding of the text.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from distill_dagster.config import Engine as DecodingEngine
from distill_dagster.config import Section
from distill_dagster.evaluation.speed.specs import EngineName, TimedModel

if TYPE_CHECKING:
    from distill_dagster.models.loading import LoadedModel

Messages = list[dict[str, str]]


class Order(Section):
    """Which model to open, where, and the prompts that it may be asked."""

    timed: TimedModel
    device: str
    more: list[str] = []  # devices over which the model is spread too
    prompts: list[Messages]
    max_new_tokens: int
    most_in_flight: int = 1


@dataclass(frozen=True, slots=True)
class TimedAnswer:
    """One answer; times count from the moment when its group of prompts was sent."""

    latency_s: float
    first_token_s: float | None  # None: the engine shows an answer only as a whole
    prompt_tokens: int
    tokens: int


@dataclass(frozen=True, slots=True)
class ModelFacts:
    """What is known of a model once it is open."""

    parameters: int | None
    dtype: str
    threads: int | None
    weight_bytes: int | None
    kv_bytes_per_token: int | None


class Engine(Protocol):
    """An open model that answers."""

    facts: ModelFacts

    def fits(self, messages: Messages) -> bool:
        """Whether it can answer the prompt, with room for the longest answer."""
        ...

    def answer(self, prompts: Sequence[Messages]) -> list[TimedAnswer]:
        """Answer all prompts at once; each of them fits."""
        ...


class _Stamps(list[int]):
    """The tokens of an answer; records when the first one came."""

    first: float | None = None

    def append(self, token: int) -> None:
        """Add a token."""
        if self.first is None:
            self.first = time.perf_counter()
        super().append(token)


class TorchEngine:
    """The project's own engine over PyTorch, with greedy decoding; the one that the scores come from."""

    def __init__(self, timed: TimedModel, device: str, max_new_tokens: int) -> None:
        import torch

        from distill_dagster.models.decoding import Sampling, choose_engine
        from distill_dagster.models.loading import load
        from distill_dagster.models.row_limits import RowLimits

        self._loaded: LoadedModel = load(timed.model, device)
        self._sampling, self._limits = Sampling(max_new_tokens), RowLimits.of(self._loaded.model.config)
        self._engine: DecodingEngine = choose_engine(self._loaded, "auto")
        weights = [*self._loaded.model.parameters(), *self._loaded.model.buffers()]
        self.facts = ModelFacts(
            parameters=sum(p.numel() for p in self._loaded.model.parameters()),
            dtype=self._loaded.dtype,
            threads=torch.get_num_threads(),
            weight_bytes=sum(w.numel() * w.element_size() for w in weights),
            kv_bytes_per_token=kv_bytes_per_token(self._loaded.model, self._loaded.tokenizer, device),
        )

    def fits(self, messages: Messages) -> bool:
        """Whether the chat template accepts the prompt, and the context has room for it and for its answer."""
        from distill_dagster.models.decoding import rows_of

        return not rows_of(self._loaded, [messages], self._sampling.max_new_tokens)[1]

    def answer(self, prompts: Sequence[Messages]) -> list[TimedAnswer]:
        """All prompts in flight together. Only the continuous engine shows when the first token came."""
        from distill_dagster.models.decoding import answer_rows, rows_of, text_of
        from distill_dagster.models.frames import opening_of

        start, done = time.perf_counter(), dict[int, TimedAnswer]()
        rows, refused = rows_of(self._loaded, prompts, self._sampling.max_new_tokens)
        assert not refused, "only prompts that fit are asked"
        stamps = {row.position: _Stamps() for row in rows}
        for row in rows:
            row.answer = stamps[row.position]
        opening = opening_of(self._loaded.tokenizer)
        room = sum(len(row.prompt) + self._sampling.max_new_tokens for row in rows) * len(rows)
        for ended in answer_rows(self._loaded, rows, self._sampling, room, self._engine):
            for row in ended:
                text_of(self._loaded, row, opening)
                first, end = stamps[row.position].first, time.perf_counter()
                shows = self._engine == "continuous" and not self._crosses(len(row.prompt))
                ready = first - start if shows and first is not None else None
                done[row.position] = TimedAnswer(end - start, ready, len(row.prompt), len(row.answer))
        return [done[i] for i in range(len(prompts))]

    def _crosses(self, prompt_tokens: int) -> bool:
        """Whether the continuous engine leaves the row to the batched one."""
        return self._limits.crosses(prompt_tokens, self._sampling.max_new_tokens)


def kv_bytes_per_token(model: Any, tokenizer: Any, device: str) -> int | None:
    """Bytes of one token's keys and values in the cache of all layers; None if the model keeps no such cache."""
    import torch

    ids = torch.tensor([[tokenizer.pad_token_id or 0] * 4], device=device)
    with torch.inference_mode():
        cache = model(input_ids=ids, use_cache=True).get("past_key_values")
    layers = getattr(cache, "layers", None) or []
    tensors: list[Any] = [getattr(layer, name, None) for layer in layers for name in ("keys", "values")]
    if not tensors or any(tensor is None or tensor.shape[-2] != 4 for tensor in tensors):
        return None
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors) // 4


def warm_libraries(timed: TimedModel) -> None:
    """Import the model's code, so that its memory is not charged to the model.

    Opening the tokenizer and building the model on the `meta` device import all of it and allocate no weights.
    """
    import contextlib

    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    from distill_dagster.models.loading import open_tokenizer

    folder = Path(timed.model.path)
    with contextlib.suppress(OSError, ValueError):  # `load` reports a model that cannot be read
        open_tokenizer(folder)
        config = AutoConfig.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
        with torch.device("meta"):
            AutoModelForCausalLM.from_config(config, trust_remote_code=False)


@dataclass(frozen=True, slots=True)
class EngineKind:
    """How an engine is opened, and what is imported before its memory counts."""

    open: Callable[[Order], Engine]
    imports: Callable[[TimedModel], None]
    package: str  # the one whose version is recorded


Engines = Mapping[EngineName, EngineKind]  # those that a child process knows
OWN: Engines = {
    "torch": EngineKind(
        lambda order: TorchEngine(order.timed, order.device, order.max_new_tokens), warm_libraries, "torch"
    ),
}
