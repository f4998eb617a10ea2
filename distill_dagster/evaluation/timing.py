"""Single requests to a loaded model, timed one after another.

A request covers everything that a caller waits for: chat template, tokenizer, `generate`, and decoding of the text.
Decoding speed counts the tokens after each request's first one; the time before the first one is in `first_token_ms`.
"""

import contextlib
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from distill_dagster.errors import ModelError
from distill_dagster.evaluation.specs import FirstToken, Latency, Speed, SpeedSpec

if TYPE_CHECKING:
    from distill_dagster.models.loading import LoadedModel

WARM_UPS = 3
Messages = list[dict[str, str]]


@dataclass(slots=True)
class Timer:
    """The streamer of `generate`: records when the first and the last token came, and how many came."""

    tokens: int = 0
    first_s: float = 0.0
    last_s: float = 0.0
    prompt_seen: bool = False

    def put(self, tokens: Any) -> None:
        """`generate` calls this with the prompt first, then with each token as soon as it has it."""
        if not self.prompt_seen:
            self.prompt_seen = True
            return
        self.tokens, self.last_s = self.tokens + tokens.numel(), time.perf_counter()
        self.first_s = self.first_s or self.last_s

    def end(self) -> None:
        """`generate` calls this when the answer is complete."""


@dataclass(frozen=True, slots=True)
class Timing:
    """One request."""

    latency_s: float
    first_token_s: float
    decode_s: float  # from the first token to the last
    prompt_tokens: int
    tokens: int


def time_requests(loaded: "LoadedModel", spec: SpeedSpec) -> list[Timing]:
    """Time every prompt that fits the model's context, after some untimed warm-up requests.

    Raises:
        ModelError: no prompt fits.
    """
    prompts = [messages for messages in spec.prompts if _fits(loaded, messages, spec.max_new_tokens)]
    if not prompts:
        raise ModelError(
            f"none of {len(spec.prompts)} prompts and {spec.max_new_tokens} new tokens fit the context of "
            f"{spec.model.name}; lower evaluation.max_new_tokens, or take a model with a longer context"
        )
    for messages in prompts[:WARM_UPS]:
        _time(loaded, messages, spec.max_new_tokens)
    return [_time(loaded, messages, spec.max_new_tokens) for messages in prompts]


def _fits(loaded: "LoadedModel", messages: Messages, max_new_tokens: int) -> bool:
    """Whether the chat template accepts the prompt, and the context has room for it and for its answer."""
    from distill_dagster.models.decoding import fits
    from distill_dagster.models.rendering import RenderError, encode, render_prompt

    with contextlib.suppress(RenderError):
        length = len(encode(loaded.tokenizer, render_prompt(loaded.tokenizer, messages)))
        return fits(loaded.model, length, max_new_tokens)
    return False


def _time(loaded: "LoadedModel", messages: Messages, max_new_tokens: int) -> Timing:
    import torch

    from distill_dagster.models.decoding import Sampling, generation_settings
    from distill_dagster.models.rendering import encode, render_prompt

    tokenizer, timer, start = loaded.tokenizer, Timer(), time.perf_counter()
    ids = torch.tensor([encode(tokenizer, render_prompt(tokenizer, messages))], device=loaded.device)  # (1, T)
    settings = generation_settings(loaded, Sampling(max_new_tokens))
    with torch.inference_mode():
        out = loaded.model.generate(
            input_ids=ids, attention_mask=torch.ones_like(ids), generation_config=settings, streamer=timer
        )
    tokenizer.decode(out[0, ids.shape[1] :].tolist(), skip_special_tokens=True)
    latency = time.perf_counter() - start
    return Timing(latency, timer.first_s - start, timer.last_s - timer.first_s, ids.shape[1], timer.tokens)


def summarize(timings: Sequence[Timing], spec: SpeedSpec, *, load_s: float, threads: int) -> Speed:
    """Percentiles over the requests (linear between two of them), and decoding speed over all of them together."""
    latencies = [t.latency_s * 1000 for t in timings]
    first = [t.first_token_s * 1000 for t in timings]
    decode_s, decoded = sum(t.decode_s for t in timings), sum(t.tokens - 1 for t in timings)
    p50, p95, p99 = (round(float(np.percentile(latencies, p)), 3) for p in (50, 95, 99))
    return Speed(
        requests=len(timings),
        skipped=len(spec.prompts) - len(timings),
        warm_ups=min(WARM_UPS, len(timings)),
        batch_size=1,
        concurrency=1,
        max_new_tokens=spec.max_new_tokens,
        latency_ms=Latency(p50=p50, p95=p95, p99=p99),
        first_token_ms=FirstToken(p50=round(float(np.percentile(first, 50)), 3)),
        tokens_per_second=round(decoded / decode_s, 2) if decoded else None,
        prompt_tokens_mean=round(sum(t.prompt_tokens for t in timings) / len(timings), 2),
        completion_tokens_mean=round(sum(t.tokens for t in timings) / len(timings), 2),
        latencies_ms=[round(latency, 3) for latency in latencies],
        load_s=round(load_s, 3),
        threads=threads,
    )
