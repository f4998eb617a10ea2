"""Prompts in, answers out, in batches of similar length.

`generate` on a small model costs as much for one prompt as for a hundred, and a long prompt makes every row of its
batch long. So prompts are sorted by length and cut into batches that hold `batch_tokens` tokens at most:

    prompts of 30, 31, 33, 400 tokens, 64 new tokens, budget 500  ->  [400], [33, 31, 30]
    cost of the second batch: 3 rows x (33 + 64) = 291 of 500

A prompt must leave room for `max_new_tokens` in the model's context; one that does not is an error (E010), not cut.
"""

import time
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from distill_dagster.models.loading import LoadedModel
from distill_dagster.models.rendering import RenderError, encode, end_ids, render_prompt


@dataclass(frozen=True, slots=True)
class Completion:
    """One answer. `completion_tokens` counts the end token; `latency_ms` is the batch's time divided by its rows."""

    text: str
    finish_reason: str  # stop | length | error
    prompt_tokens: int
    completion_tokens: int
    latency_ms: float
    error_code: str | None = None


@dataclass(frozen=True, slots=True)
class Sampling:
    """How the next token is chosen; temperature 0 takes the likeliest."""

    max_new_tokens: int
    temperature: float = 0.0
    top_p: float = 1.0
    seed: int = 0


def complete(loaded: LoadedModel, prompts: Sequence[Sequence[Mapping[str, str]]], **how: Any) -> list[Completion]:
    """Answers to `prompts` (each a list of messages), in their order; `how` and errors are those of `answers`.

    `advance`, if given, hears of each answer.
    """
    advance = how.pop("advance", lambda done: None)
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
) -> Iterator[tuple[int, Completion]]:
    """Each prompt's position and its answer, as soon as its batch is done. One that cannot be asked is an `error`."""
    sampling = Sampling(max_new_tokens, temperature, top_p, seed)
    encoded: dict[int, list[int]] = {}
    for i, messages in enumerate(prompts):
        try:
            ids = encode(loaded.tokenizer, render_prompt(loaded.tokenizer, messages))
        except RenderError:
            yield i, Completion("", "error", 0, 0, 0.0, "E015")
            continue
        if fits(loaded.model, len(ids), max_new_tokens):
            encoded[i] = ids
        else:
            yield i, Completion("", "error", len(ids), 0, 0.0, "E010")
    lengths = {i: len(ids) for i, ids in encoded.items()}
    for batch in cut_batches(lengths, max_new_tokens, batch_tokens):
        yield from zip(batch, _answer(loaded, batch, [encoded[i] for i in batch], sampling), strict=True)


def fits(model: Any, prompt_tokens: int, max_new_tokens: int) -> bool:
    """Whether a prompt and its answer fit the model's context, where it has one."""
    context = getattr(model.config, "max_position_embeddings", None)
    return prompt_tokens > 0 and (context is None or prompt_tokens + max_new_tokens <= context)


def cut_batches(lengths: Mapping[int, int], max_new_tokens: int, batch_tokens: int) -> Iterator[list[int]]:
    """Keys of `lengths`, longest first, in batches of at most `batch_tokens` padded and new tokens.

    A row that is over the budget on its own is a batch of one.
    """
    batch: list[int] = []
    width = 0
    for i in sorted(lengths, key=lambda i: (-lengths[i], i)):
        if batch and (len(batch) + 1) * width > batch_tokens:
            yield batch
            batch = []
        if not batch:
            width = lengths[i] + max_new_tokens
        batch.append(i)
    if batch:
        yield batch


def _answer(loaded: LoadedModel, batch: list[int], rows: list[list[int]], sampling: Sampling) -> list[Completion]:
    """One batch through `generate`, padded on the left so that every answer starts at the same column."""
    import torch

    start, width, pad = time.perf_counter(), max(map(len, rows)), loaded.tokenizer.pad_token_id
    ids = torch.tensor([[pad] * (width - len(row)) + row for row in rows], device=loaded.device)  # (B, T)
    mask = torch.tensor([[0] * (width - len(row)) + [1] * len(row) for row in rows], device=loaded.device)  # (B, T)
    settings = generation_settings(loaded, sampling)
    with torch.inference_mode(), _seeded(sampling, batch, rows, loaded.device):
        out = loaded.model.generate(input_ids=ids, attention_mask=mask, generation_config=settings)
    answers = out[:, width:].tolist()  # (B, at most max_new_tokens)
    latency_ms = (time.perf_counter() - start) * 1000 / len(rows)
    return [_completion(loaded, row, answer, latency_ms) for row, answer in zip(rows, answers, strict=True)]


def generation_settings(loaded: LoadedModel, sampling: Sampling) -> Any:
    """A generation config in which nothing is left to a checkpoint's defaults."""
    from transformers import GenerationConfig

    chosen: dict[str, Any] = {"do_sample": False}
    if sampling.temperature > 0:
        chosen = {"do_sample": True, "temperature": sampling.temperature, "top_p": sampling.top_p, "top_k": 0}
    return GenerationConfig(
        max_new_tokens=sampling.max_new_tokens,
        eos_token_id=end_ids(loaded.tokenizer, loaded.model.generation_config),
        pad_token_id=loaded.tokenizer.pad_token_id,
        **chosen,
    )


def _seeded(sampling: Sampling, batch: list[int], rows: list[list[int]], device: str) -> Any:
    """The random state of one batch: of the seed, its places and its prompts, so that no two batches draw alike."""
    import contextlib

    import torch

    @contextlib.contextmanager
    def seeded() -> Iterator[None]:
        with torch.random.fork_rng(devices=[torch.device(device)] if device.startswith("cuda") else []):
            torch.manual_seed(zlib.crc32(repr((sampling.seed, batch, rows)).encode()))  # the CPU reads 32 bits of it
            yield

    return seeded() if sampling.temperature > 0 else contextlib.nullcontext()


def _completion(loaded: LoadedModel, prompt: list[int], answer: list[int], latency_ms: float) -> Completion:
    """An answer up to its end token, without the padding behind it."""
    ends = end_ids(loaded.tokenizer, loaded.model.generation_config)
    stop = next((i for i, token in enumerate(answer) if token in ends), None)
    text = loaded.tokenizer.decode(answer[:stop], skip_special_tokens=True, clean_up_tokenization_spaces=False)
    return Completion(
        text=text,
        finish_reason="length" if stop is None else "stop",
        prompt_tokens=len(prompt),
        completion_tokens=len(answer) if stop is None else stop + 1,
        latency_ms=latency_ms,
    )
