"""What the teacher's distributions cost: the second pass against decoding with scores kept, and bytes a token on disk.

Speed, [logits_second_pass_speedup]. A new Llama of 6 million weights (vocabulary 8,192) answers 16 prompts of 64
tokens with 128 tokens each. Both sides end with the same thing, the 64 likeliest tokens, the true one and the tail
as float16:

    decode        `generate(output_scores=True, return_dict_in_generate=True)`, then `keep` on each step's scores
    second pass   `Reader.read` on the finished token ids, prompts included; the decoding before it is not timed

They alternate in one run; the ratio is that of the medians. The more rows decode at once, the closer they come.

Size, [logits_bytes_per_token_*]. Vocabulary 151,936, k = 64, answers of 16 to 200 tokens: the size of the whole
parquet file divided by its tokens. No model of that vocabulary is at hand, so distributions are drawn: probabilities
fall off as a power of the rank (Zipf-Mandelbrot) whose exponent and offset differ from token to token, from sure to
undecided, and the answer follows them. Ids are drawn uniformly, which nothing can compress: a real teacher, who names
frequent tokens more often, costs less. `worst` is a lossless file whose log-probabilities are spread evenly over all
fp16 numbers, further than any model's. (A model with random weights is not the worst case: its log-probabilities lie
so close together that they take next to nothing.)
"""

import dataclasses
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np

from distill_dagster.logits.distributions import (
    MOST_DRAWS,
    NO_DRAW,
    TEMPERATURES,
    Distributions,
    Precision,
    encode,
)
from distill_dagster.logits.prefill import Reader, keep
from distill_dagster.logits.sequences import TokenSequence
from distill_dagster.logits.size import measure_file
from distill_dagster.logits.table import LogitsWriter
from distill_dagster.models.loading import LoadedModel
from distill_dagster.models.ref import ModelRef

ROUNDS = 5
ROWS, PROMPT, ANSWER = 16, 64, 128  # tokens
SHAPE = {"hidden_size": 192, "intermediate_size": 576, "num_hidden_layers": 6, "num_attention_heads": 4}
SMALL_VOCABULARY, VOCABULARY, K = 8_192, 151_936, 64
ANSWERS = 120  # rows of the file whose size is taken


def measure() -> dict[str, float]:
    """The speed-up, and bytes a token of three files."""
    rng = np.random.default_rng(0)
    drawn = [power_law(rng, int(tokens)) for tokens in rng.integers(16, 201, ANSWERS)]
    return {
        "logits_second_pass_speedup": second_pass_speedup(),
        "logits_bytes_per_token_lossless": bytes_per_token(drawn, "lossless"),
        "logits_bytes_per_token_lossless_sampled": bytes_per_token([sampled(rng, one) for one in drawn], "lossless"),
        "logits_bytes_per_token_compact": bytes_per_token(drawn, "compact"),
        "logits_bytes_per_token_worst": bytes_per_token([spread(rng, 100) for _ in range(40)], "lossless"),
    }


def second_pass_speedup() -> float:
    """Median seconds of decoding with scores kept, divided by those of the second pass over the same tokens."""
    import torch

    loaded = new_model()
    reader = Reader(loaded, K)
    prompts = torch.randint(1, SMALL_VOCABULARY, (ROWS, PROMPT), generator=torch.Generator().manual_seed(0))
    texts = decode_with_scores(loaded, prompts)
    sequences = [TokenSequence((str(i), 0, 0), ids, PROMPT) for i, ids in enumerate(texts.tolist())]
    reader.read(sequences)
    pairs = [
        (seconds_of(lambda: decode_with_scores(loaded, prompts)), seconds_of(lambda: reader.read(sequences)))
        for _ in range(ROUNDS)
    ]
    decoding, second = (statistics.median(column) for column in zip(*pairs, strict=True))
    return decoding / second


def new_model() -> LoadedModel:
    """A Llama with random weights that never ends an answer by itself."""
    import torch
    from transformers import GenerationConfig, LlamaConfig, LlamaForCausalLM

    torch.manual_seed(0)
    ends = {"bos_token_id": None, "eos_token_id": None, "pad_token_id": 0}
    model: Any = LlamaForCausalLM(LlamaConfig(vocab_size=SMALL_VOCABULARY, **SHAPE, **ends)).eval()
    model.generation_config = GenerationConfig(pad_token_id=0)
    tokenizer: Any = SimpleNamespace(pad_token_id=0)  # prompts are token ids already
    return LoadedModel(model, tokenizer, "cpu", "float32", ModelRef(path="", name="llama-6M", revision=""))


def decode_with_scores(loaded: LoadedModel, prompts: Any) -> Any:
    """Greedy answers to `prompts` (B, P); returns token ids (B, P + N), after `keep` saw every step's scores."""
    import torch

    asked = {"max_new_tokens": ANSWER, "do_sample": False, "output_scores": True, "return_dict_in_generate": True}
    with torch.inference_mode():
        out = loaded.model.generate(input_ids=prompts, attention_mask=torch.ones_like(prompts), **asked)
        for step, scores in enumerate(out.scores):
            keep(scores, out.sequences[:, PROMPT + step], K)
    return out.sequences


def seconds_of(work: Callable[[], Any]) -> float:
    """Wall time of one call."""
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def power_law(rng: np.random.Generator, tokens: int, vocabulary: int = VOCABULARY) -> Distributions:
    """Distributions that fall off as (rank + offset) ** -exponent, with noise, cut at rank 4,096."""
    exponent, offset = rng.uniform(1, 3, (tokens, 1)), np.exp(rng.uniform(-3, 3, (tokens, 1)))
    scores = -exponent * np.log(np.arange(1, 4097) + offset) + 0.3 * rng.standard_normal((tokens, 4096))
    scores = -np.sort(-scores, axis=1)
    mass = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)  # (T, 4096)
    ranks = (rng.uniform(size=(tokens, 1)) > np.cumsum(mass, axis=1)).sum(axis=1).clip(0, K - 1)
    ids = rng.integers(0, vocabulary, (tokens, K))
    tail, sums = (
        mass[:, K:].sum(axis=1),
        [(mass[:, K:] ** (1 / temperature)).sum(axis=1) for temperature in TEMPERATURES],
    )
    kept = (np.log(part).astype(np.float16) for part in (mass[:, :K], tail))
    return Distributions(ids, *kept, ranks, tail_logsums=np.log(np.stack(sums, axis=1)).astype(np.float16))


def sampled(rng: np.random.Generator, given: Distributions) -> Distributions:
    """The same with max(1, ceil(50 * mass)) tokens drawn from the tail in place of its sums."""
    count = np.ceil(MOST_DRAWS * np.exp(given.tail_logmass.astype(np.float64))).clip(1, MOST_DRAWS)  # (T,)
    draws = rng.integers(0, VOCABULARY, (len(count), int(count.max())))
    draws = np.where(np.arange(draws.shape[1]) < count[:, None], draws, NO_DRAW)
    return dataclasses.replace(given, tail_logsums=None, draws=draws)


def constants_of(vocabulary: int, precision: Precision) -> dict[str, Any]:
    """The columns that are the same in every row."""
    constants = {"k": K, "vocab_size": vocabulary, "precision": precision, "temperature": 1.0}
    return constants | {"tokenizer_hash": "0" * 64, "teacher_revision": "0" * 40}


def spread(rng: np.random.Generator, tokens: int) -> Distributions:
    """Log-probabilities, tail and ranks evenly over everything that can be stored."""
    patterns = np.sort(rng.integers(0, 0x7C00, (tokens, K + 1)), axis=1).astype(np.uint16).view(np.float16)
    ids = rng.integers(0, VOCABULARY, (tokens, K))
    return Distributions(ids, -patterns[:, :K], -patterns[:, K], rng.integers(0, K, tokens))


def bytes_per_token(answers: list[Distributions], precision: Precision) -> float:
    """Size of the file that holds `answers`, divided by their tokens."""
    rows = [
        {"row_id": f"train.jsonl#{i}", "sample": 0, "turn": 0, "tokens": len(given.ids)}
        | encode(given, VOCABULARY, precision)
        | constants_of(VOCABULARY, precision)
        for i, given in enumerate(answers)
    ]
    with tempfile.TemporaryDirectory() as folder:
        with LogitsWriter(Path(folder) / "logits.parquet") as writer:
            writer.write(rows)
        return measure_file(Path(folder) / "logits.parquet")["bytes_per_token"]
