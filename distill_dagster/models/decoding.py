"""Answers prompts with a local model, through the fastest engine that can run it.

    [{"role": "user", "content": "2 + 2?"}]  ->  Completion("4", "stop", prompt_tokens=12, completion_tokens=2, …)

The engines sort prompts by length and answer many at a time: `continuous` refills slots whose answers have ended,
`batched` runs transformers' `generate` on batches of similar length. Both hold at most `batch_tokens` tokens and give
the same greedy answers; docs/adr/0006-local-engine.md has the measurement. `vllm` leaves both to vLLM.

A prompt must leave room for `max_new_tokens` in the model's context. One that does not is an error (E010), not cut.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from distill_dagster.config import Engine
from distill_dagster.errors import ModelError
from distill_dagster.models.answer_text import answer_text
from distill_dagster.models.engines.batched import answer_batched, cut_batches
from distill_dagster.models.engines.continuous import answer_continuously, is_supported
from distill_dagster.models.engines.rows import Repetition, Row, Sampling, generation_settings
from distill_dagster.models.engines.vllm_offline import answer_offline
from distill_dagster.models.frames import opening_of
from distill_dagster.models.loading import LoadedModel
from distill_dagster.models.rendering import RenderError, encode, render_prompt
from distill_dagster.models.row_limits import RowLimits

__all__ = [
    "Completion",
    "Repetition",
    "Row",
    "Sampling",
    "answer_rows",
    "answers",
    "choose_engine",
    "complete",
    "cut_batches",
    "fits",
    "generation_settings",
    "rows_of",
    "text_of",
]


ENGINES: dict[Engine, Callable[[LoadedModel, Sequence[Row], Sampling, int], Iterator[Sequence[Row]]]] = {
    "continuous": answer_continuously,
    "batched": answer_batched,
    "vllm": answer_offline,  # of a model that `load_offline` opened
}


@dataclass(frozen=True, slots=True)
class Completion:
    """One answer. `completion_tokens` includes the end token; all `latency_ms` add up to the time that was spent."""

    text: str
    finish_reason: str  # stop | length | error, and repetition where `Sampling.repetition` is set
    prompt_tokens: int
    completion_tokens: int
    latency_ms: float
    error_code: str | None = None


def complete(loaded: LoadedModel, prompts: Sequence[Sequence[Mapping[str, str]]], **how: Any) -> list[Completion]:
    """Answers to `prompts` (each a list of messages), in their order; `how` and errors are those of `answers`.

    `advance`, if given, is called with 1 after each answer.
    """
    advance: Callable[[int], None] = how.pop("advance", lambda done: None)
    done: dict[int, Completion] = {}
    for i, completion in answers(loaded, prompts, **how):
        done[i] = completion
        advance(1)
    return [done[i] for i in range(len(prompts))]


def answers(
    loaded: LoadedModel,
    prompts: Sequence[Sequence[Mapping[str, str]]],
    *,
    max_new_tokens: int,
    batch_tokens: int,
    temperature: float = 0.0,
    top_p: float = 1.0,
    seed: int = 0,
    engine: Engine = "auto",
    keys: Sequence[str] | None = None,
) -> Iterator[tuple[int, Completion]]:
    """Each prompt's position and its answer, as soon as the engine has it.

    The answer to a prompt that cannot be rendered, or does not fit, has the finish reason `error`. `keys` seed the
    random draws of each prompt; without them its position does.

    Raises:
        ModelError: the engine cannot run this model.
    """
    sampling = Sampling(max_new_tokens, temperature, top_p, seed)
    engine = choose_engine(loaded, engine)
    rows, refused = rows_of(loaded, prompts, max_new_tokens, keys)
    yield from refused.items()
    opening = opening_of(loaded.tokenizer)
    for ended in answer_rows(loaded, rows, sampling, batch_tokens, engine):
        yield from ((row.position, _completion(loaded, row, opening)) for row in ended)


def rows_of(
    loaded: LoadedModel,
    prompts: Sequence[Sequence[Mapping[str, str]]],
    max_new_tokens: int,
    keys: Sequence[str] | None = None,
) -> tuple[list[Row], dict[int, Completion]]:
    """The prompts as rows for an engine, and an error for the position of each that it cannot answer."""
    rows: list[Row] = []
    refused: dict[int, Completion] = {}
    limits = RowLimits.of(loaded.model.config)
    for i, messages in enumerate(prompts):
        try:
            ids = encode(loaded.tokenizer, render_prompt(loaded.tokenizer, messages))
        except RenderError:
            refused[i] = Completion("", "error", 0, 0, 0.0, "E015")
            continue
        if not limits.reads(ids):
            refused[i] = Completion("", "error", len(ids), 0, 0.0, "E015")
        elif fits(loaded.model, len(ids), max_new_tokens):
            rows.append(Row(i, ids, keys[i] if keys else ""))
        else:
            refused[i] = Completion("", "error", len(ids), 0, 0.0, "E010")
    return rows, refused


def answer_rows(
    loaded: LoadedModel, rows: Sequence[Row], sampling: Sampling, batch_tokens: int, engine: Engine = "auto"
) -> Iterator[Sequence[Row]]:
    """Answer rows; yields those that have ended as soon as the engine has them. Errors are those of `choose_engine`."""
    return ENGINES[choose_engine(loaded, engine)](loaded, rows, sampling, batch_tokens)


def choose_engine(loaded: LoadedModel, engine: Engine) -> Engine:
    """The engine that `auto` means: `continuous`, or `batched` for a model that `continuous` cannot run.

    Raises:
        ModelError: `continuous` is named, and cannot run this model.
    """
    if engine == "vllm":
        return engine
    supported = is_supported(loaded.model)
    if engine == "continuous" and not supported:
        raise ModelError(
            f"`generation.engine: continuous` needs a model that keeps its whole past as keys and values of full "
            f"attention, on one device, and {loaded.ref.name} ({type(loaded.model).__name__}) does not: use "
            "`engine: auto` or `engine: batched`"
        )
    return engine if engine != "auto" else "continuous" if supported else "batched"


def fits(model: Any, prompt_tokens: int, max_new_tokens: int) -> bool:
    """Whether a prompt and its answer fit the model's context; without a limit all but an empty prompt do."""
    context = getattr(model.config, "max_position_embeddings", None)
    return prompt_tokens > 0 and (context is None or prompt_tokens + max_new_tokens <= context)


def _completion(loaded: LoadedModel, row: Row, opening: str) -> Completion:
    """A row's answer as text, without the template's opening and without its end token."""
    assert row.finish is not None, "the answer has ended"
    return Completion(
        text=text_of(loaded, row, opening),
        finish_reason=row.finish,
        prompt_tokens=len(row.prompt),
        completion_tokens=len(row.answer),
        latency_ms=row.milliseconds,
    )


def text_of(loaded: LoadedModel, row: Row, opening: str) -> str:
    """The text of a row's answer, without the template's opening and without its end token."""
    return answer_text(loaded.tokenizer, row.answer[:-1] if row.finish == "stop" else row.answer, opening)
