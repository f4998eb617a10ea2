"""A model with open weights that runs on this machine's device.

Only the tokenizer is opened at first. It renders the requests, whose hashes say which are already answered, so a shard
without new requests loads no weights.
"""

from collections.abc import Callable, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from distill_dagster.config import GenerationConfig
from distill_dagster.models.decoding import Completion, answers
from distill_dagster.models.engines.vllm_offline import load_offline
from distill_dagster.models.loading import LoadedModel, dtype_name, load
from distill_dagster.models.ref import ModelRef
from distill_dagster.models.rendering import RenderError, answer_ends, encode, render_prompt
from distill_dagster.models.tokenizer import open_config, open_tokenizer, stated_ends
from distill_dagster.teachers.protocol import NO_ROOM, NOT_RENDERED, Reply, Request
from distill_dagster.teachers.sampling import sampling_params


class LocalTeacher:
    """A pinned model as a `Teacher`. Each reply is recorded when the engine has it; nothing is tried again.

    The engine does not belong to the identity: all engines give the same greedy answers up to rounding, and sample from
    the same distribution. In bfloat16 the rounding depends on the batch, with any engine.
    """

    def __init__(self, ref: ModelRef, generation: GenerationConfig, device: str) -> None:
        self.name, self.revision, self.host = ref.name, ref.revision, None
        self.sampling = sampling_params(generation)
        self._ref, self._generation, self._device = ref, generation, device

    @property
    def identity(self) -> dict[str, Any]:
        """The model, with the ends of its answers if its files do not state all: older answers ran past the others."""
        return self._identity

    @cached_property
    def _identity(self) -> dict[str, Any]:
        named = {"name": self._ref.name, "revision": self._ref.revision, "dtype": self._ref.dtype}
        folder = Path(self._ref.path)
        stated = stated_ends(folder, open_config(folder), self._tokenizer)
        ends = answer_ends(self._tokenizer, stated)
        return named if len(ends) == len(set(stated)) else {**named, "ends": ends}

    @cached_property
    def _tokenizer(self) -> Any:
        return open_tokenizer(Path(self._ref.path), self._ref.prompt_date)

    @property
    def loaded(self) -> LoadedModel:
        """The model on its device, opened for the engine; ModelError if it cannot be loaded."""
        if self._generation.engine == "vllm":
            return load_offline(self._ref, self._device, self._generation.batch_tokens)
        return load(self._ref, self._device)

    def render(self, messages: Sequence[dict[str, str]], response_format: dict[str, Any] | None) -> Any:
        """The text that the model continues. `response_format` is ignored: nothing constrains its tokens."""
        try:
            return render_prompt(self._tokenizer, messages)
        except RenderError:
            return [dict(message) for message in messages]

    def dtype(self, device: str) -> str:
        """The precision of its weights on a device."""
        return dtype_name(self._ref.dtype, device)

    def count_tokens(self, messages: Sequence[dict[str, str]]) -> int | None:
        """Tokens of the rendered prompt."""
        text = self.render(messages, None)
        return len(encode(self._tokenizer, text if isinstance(text, str) else str(text)))

    def answer(self, requests: Sequence[Request], record: Callable[[Reply], None]) -> None:
        """Answer with the engine that the config names; see `Teacher`.

        Raises:
            ModelError: the model cannot be loaded, or the engine cannot run it.
        """
        generation = self._generation
        completions = answers(
            self.loaded,
            [request.messages for request in requests],
            max_new_tokens=generation.max_new_tokens,
            batch_tokens=generation.batch_tokens,
            temperature=generation.temperature,
            top_p=generation.top_p,
            seed=generation.seed,
            engine=generation.engine,
            keys=[request.request_hash for request in requests],
        )
        for position, completion in completions:
            record(_reply(requests[position].request_hash, completion))


def _reply(request_hash: str, completion: Completion) -> Reply:
    ok = completion.finish_reason != "error"
    return Reply(
        request_hash=request_hash,
        text=completion.text if ok else None,
        finish_reason=completion.finish_reason,
        prompt_tokens=completion.prompt_tokens,
        completion_tokens=completion.completion_tokens,
        latency_ms=completion.latency_ms,
        error_code=completion.error_code,
        error=None if ok else ERRORS[completion.error_code or ""],
    )


ERRORS = {
    NO_ROOM: "the prompt and max_new_tokens do not fit the model's context",
    NOT_RENDERED: "the model's chat template refuses the messages",
}
