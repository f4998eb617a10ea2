"""How fast a local teacher answers ragged prompts, against what people would write without an engine.

    generation_vs_loop                  `generate` on one row after the other / ours
    generation_vs_fixed_batches         `generate` on batches in the order of arrival / ours
    generation_vs_continuous_batching   transformers' `generate_batch` / ours

All are wall times a token of the same greedy answers, in one process, alternating, medians of `ROUNDS`. That all ways
give the same tokens is asserted. Fixed batches, `generate_batch` and ours get the same 160 rows. The loop gets 16 rows,
since its time a token does not depend on how many there are, and is compared with ours on 512: near its end every
engine runs with few rows, which weighs on 160 rows and not on a shard. Tokenizing and decoding of text are on no side.

The model is a new Llama of 1.3 million weights (hidden 128, 6 layers, 4 heads on 1 key-value head, as Llama 3 has 4 on
1). Its weights are drawn wide enough that what it says next looks random, and 20 of its 1,024 tokens end an answer:
so answers end after any number of tokens: 40 in the middle, 58 on average, one of seventeen at the limit of 192.
Prompts are log-normal, 60 tokens in the middle, 85 on average, between 10 and 400. Fixed batches have as many rows as a
batch of `batched` has on average (40); transformers' continuous batching has a cache for twice as many.
"""

import statistics
import time
from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import Any

import numpy as np

from distill_dagster.models.engines.batched import answer_batched, cut_batches
from distill_dagster.models.engines.continuous import answer_continuously
from distill_dagster.models.engines.rows import Row, Sampling, generation_settings, left_padded
from distill_dagster.models.loading import LoadedModel
from distill_dagster.models.ref import ModelRef

ROUNDS = 3
SHARD_ROWS, ROWS, LOOP_ROWS = 512, 160, 16
VOCABULARY, ENDS = 1024, 20
SHAPE = {"hidden_size": 128, "intermediate_size": 336, "num_hidden_layers": 6, "num_attention_heads": 4}
BATCH_TOKENS, SAMPLING = 16_384, Sampling(max_new_tokens=192)
Way = Callable[[LoadedModel, list[Row]], list[list[int]]]


def new_model() -> LoadedModel:
    """The Llama of this bench; prompts are token ids already, so its tokenizer says only what padding is."""
    import torch
    from transformers import GenerationConfig, LlamaConfig, LlamaForCausalLM

    torch.manual_seed(0)
    ids = {"bos_token_id": None, "eos_token_id": None, "pad_token_id": 0}
    config = LlamaConfig(vocab_size=VOCABULARY, num_key_value_heads=1, initializer_range=0.1, **SHAPE, **ids)
    model: Any = LlamaForCausalLM(config).eval()
    model.generation_config = GenerationConfig(eos_token_id=list(range(1, 1 + ENDS)), pad_token_id=0)
    tokenizer: Any = SimpleNamespace(pad_token_id=0)
    return LoadedModel(model, tokenizer, "cpu", "float32", ModelRef(path="", name="llama", revision=""))


def ragged_rows() -> list[Row]:
    """Prompts of many lengths, in no order."""
    rng = np.random.default_rng(0)
    lengths = np.exp(rng.normal(np.log(60), 0.9, SHARD_ROWS)).clip(10, 400).astype(int)
    return [Row(i, rng.integers(ENDS + 1, VOCABULARY, length).tolist()) for i, length in enumerate(lengths)]


def generate(loaded: LoadedModel, rows: Sequence[Row]) -> list[list[int]]:
    """One batch of `generate`; the answers without padding."""
    import torch

    ids, mask = left_padded(rows, 0, "cpu")  # (B, T)
    settings = generation_settings(loaded, SAMPLING)
    with torch.inference_mode():
        out = loaded.model.generate(input_ids=ids, attention_mask=mask, generation_config=settings)
    return [up_to_end(answer) for answer in out[:, ids.shape[1] :].tolist()]


def up_to_end(answer: list[int]) -> list[int]:
    """An answer without what stands behind its end token."""
    end = next((i for i, token in enumerate(answer) if 1 <= token <= ENDS), len(answer))
    return answer[: end + 1]


def one_by_one(loaded: LoadedModel, rows: list[Row]) -> list[list[int]]:
    """The loop."""
    return [generate(loaded, [row])[0] for row in rows]


def fixed_batches(loaded: LoadedModel, rows: list[Row]) -> list[list[int]]:
    """Batches in the order of arrival."""
    size = rows_a_batch(rows)
    return [answer for i in range(0, len(rows), size) for answer in generate(loaded, rows[i : i + size])]


def rows_a_batch(rows: Sequence[Row]) -> int:
    """Mean number of rows in a batch of `BATCH_TOKENS`."""
    lengths = {row.position: len(row.prompt) for row in rows}
    return round(len(rows) / len(list(cut_batches(lengths, SAMPLING.max_new_tokens, BATCH_TOKENS))))


def transformers_continuous(loaded: LoadedModel, rows: list[Row]) -> list[list[int]]:
    """`generate_batch`, with a cache sized for this model: its defaults were two to three times slower."""
    from transformers.generation.configuration_utils import ContinuousBatchingConfig

    size = 2 * rows_a_batch(rows)
    sizes = ContinuousBatchingConfig(
        page_size=32, num_blocks=size * 20, max_batch_tokens=2048, max_requests_per_batch=size
    )
    out = loaded.model.generate_batch(
        [row.prompt for row in rows],
        generation_config=generation_settings(loaded, SAMPLING),
        continuous_batching_config=sizes,
    )
    return [out[key].generated_tokens for key in sorted(out, key=lambda key: int(key.rsplit("_", 1)[1]))]


def engine(answer: Callable[..., Any]) -> Way:
    """One of our engines."""

    def answered(loaded: LoadedModel, rows: list[Row]) -> list[list[int]]:
        fresh = [Row(row.position, row.prompt) for row in rows]
        for _ in answer(loaded, fresh, SAMPLING, BATCH_TOKENS):
            pass
        return [row.answer for row in fresh]

    return answered


WAYS: dict[str, tuple[Way, int]] = {  # and how many rows they get
    "continuous_shard": (engine(answer_continuously), SHARD_ROWS),
    "loop": (one_by_one, LOOP_ROWS),
    "continuous": (engine(answer_continuously), ROWS),
    "fixed_batches": (fixed_batches, ROWS),
    "continuous_batching": (transformers_continuous, ROWS),
    "batched": (engine(answer_batched), ROWS),
}


def ms_a_token(name: str, loaded: LoadedModel, rows: list[Row], expected: list[list[int]]) -> float:
    """Wall time a token of the answer."""
    way, count = WAYS[name]
    started = time.perf_counter()
    answers = way(loaded, rows[:count])
    seconds = time.perf_counter() - started
    assert answers == expected[:count], f"{name} gave other tokens"
    return seconds * 1000 / sum(map(len, answers))


def measure() -> dict[str, float]:
    """Milliseconds a token, and the ratios to our default engine."""
    loaded, rows = new_model(), ragged_rows()
    expected = WAYS["continuous_shard"][0](loaded, rows)
    rounds = [{name: ms_a_token(name, loaded, rows, expected) for name in WAYS} for _ in range(ROUNDS)]
    medians = {name: statistics.median(one[name] for one in rounds) for name in WAYS}
    compared = ("fixed_batches", "continuous_batching", "batched")
    return {
        **{f"generation_ms_per_token_{name}": value for name, value in medians.items()},
        "generation_vs_loop": medians["loop"] / medians["continuous_shard"],
        **{f"generation_vs_{name}": medians[name] / medians["continuous"] for name in compared},
    }
