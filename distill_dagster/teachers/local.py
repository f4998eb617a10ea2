"""A teacher with open weights, run on this machine's device.

Only its tokenizer is opened at first: which requests are already answered is known from their text, and a shard
that asks nothing new needs no weights.
"""

from collections.abc import Callable, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from distill_dagster.config import GenerationConfig
from distill_dagster.models.decoding import Completion, answers
from distill_dagster.models.loading import LoadedModel, dtype_name, load, open_tokenizer
from distill_dagster.models.ref import ModelRef
from distill_dagster.models.rendering import RenderError, render_prompt
from distill_dagster.teachers.protocol import Question, Reply


class LocalTeacher:
    """A pinned model as a `Teacher`. Replies come as the engine has them; nothing is retried.

    The engine is no part of its identity: all of them give the same greedy answers (bfloat16 rounds differently with
    every other batch, whichever engine cut it).
    """

    def __init__(self, ref: ModelRef, generation: GenerationConfig, device: str) -> None:
        self.name, self.revision = ref.name, ref.revision
        self.identity = {"name": ref.name, "revision": ref.revision, "dtype": ref.dtype}
        self._ref, self._generation, self._device = ref, generation, device

    @cached_property
    def _tokenizer(self) -> Any:
        return open_tokenizer(Path(self._ref.path))

    @property
    def loaded(self) -> LoadedModel:
        """The model on its device; ModelError where it cannot be loaded."""
        return load(self._ref, self._device)

    def render(self, messages: Sequence[dict[str, str]], response_format: dict[str, Any] | None) -> Any:
        """The text that the model continues, which says all that it is asked; `response_format` is nothing to it."""
        try:
            return render_prompt(self._tokenizer, messages)
        except RenderError:
            return [dict(message) for message in messages]

    def dtype(self, device: str) -> str:
        """The precision of its weights on a device."""
        return dtype_name(self._ref.dtype, device)

    def count_tokens(self, messages: Sequence[dict[str, str]]) -> int | None:
        """Tokens of the prompt as the model sees it."""
        text = self.render(messages, None)
        return len(self._tokenizer(text if isinstance(text, str) else str(text))["input_ids"])

    def answer(self, questions: Sequence[Question], record: Callable[[Reply], None]) -> None:
        """Answer with the engine that the config names; each answer is recorded when it is there."""
        generation = self._generation
        completions = answers(
            self.loaded,
            [question.messages for question in questions],
            max_new_tokens=generation.max_new_tokens,
            batch_tokens=generation.batch_tokens,
            temperature=generation.temperature,
            top_p=generation.top_p,
            seed=generation.seed,
            engine=generation.engine,
            keys=[question.request_hash for question in questions],
        )
        for position, completion in completions:
            record(_reply(questions[position].request_hash, completion))


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
    "E010": "the prompt and max_new_tokens do not fit the model's context",
    "E015": "the model's chat template refuses the messages",
}
