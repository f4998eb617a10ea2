"""What the signal `logits` costs beside the signal `text`, and what the capture of the tail costs.

CPU seconds; the two sides alternate, and the ratio is that of the fastest of five rounds each. The shape of the head
is SmolLM2-135M's (hidden size 576, 49,152 tokens), k = 64.

    kd_head_vs_text        head, loss and gradients with stored distributions / with the text alone
    alm_head_vs_text       the same across tokenizers, in spans of two tokens / with the text alone
    text_head_vs_dense     the text alone, in chunks / by torch over all logits at once
    kd_step_vs_text        a whole training step, collation included, of a model of six layers
    kd_peak_vs_dense       memory of the loss with stored distributions / of the dense KL, 1,024 tokens of 151,936
    capture_bucket_vs_k    head and `keep` with the tail's sums / with the k tokens and the tail's mass alone
    capture_sampled_vs_k   the same with a sampled tail
"""

import multiprocessing
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks._online import Rollouts
from benchmarks._peak import forget_peak, peak_bytes
from benchmarks.logits import power_law
from distill_dagster.config import StudentTrainingConfig
from distill_dagster.logits.distributions import MOST_DRAWS
from distill_dagster.logits.prefill import keep
from distill_dagster.training.signals.alm import Matching
from distill_dagster.training.signals.divergence import forward_kl
from distill_dagster.training.signals.forward import computing_loss
from distill_dagster.training.signals.kernel import Term, head_loss
from distill_dagster.training.signals.logits import Distillation
from distill_dagster.training.signals.text import CrossEntropy, TextSignal

ROUNDS = 5
POSITIONS, HIDDEN, VOCABULARY, K = 512, 576, 49_152, 64
LONG, LARGE = 1_024, 151_936  # tokens, and the vocabulary, of the memory bench
ROWS, PROMPT, ANSWER = 16, 32, 96  # of the whole step


def measure() -> dict[str, float]:
    """All ratios; below 1 the first side is cheaper."""
    torch.set_num_threads(1)
    return {**head_ratios(), "kd_step_vs_text": step_ratio(), "kd_peak_vs_dense": peak_ratio(), **capture_ratios()}


def ratio_of(one: Callable[[], Any], other: Callable[[], Any]) -> float:
    """CPU seconds of `one` / of `other`."""
    seconds = [(cpu_seconds(one), cpu_seconds(other)) for _ in range(ROUNDS)]
    first, second = (min(column) for column in zip(*seconds, strict=True))
    return first / second


def cpu_seconds(work: Callable[[], Any]) -> float:
    """CPU seconds of one call."""
    started = time.process_time()
    work()
    return time.process_time() - started


def head_ratios() -> dict[str, float]:
    """Head, loss and gradients of one batch."""
    head, hidden, tokens, weights = parts(POSITIONS, VOCABULARY, HIDDEN)
    text: list[Term] = [CrossEntropy(tokens[:, None], weights)]
    stored: list[Term] = [distillation(tokens, weights, VOCABULARY)]
    across = matching(tokens, weights)

    def chunked(terms: list[Term], groups: torch.Tensor | None = None) -> Callable[[], None]:
        return lambda: head_loss(hidden, head, terms, groups=groups).backward()

    def dense() -> None:
        losses = torch.nn.functional.cross_entropy(head(hidden).float(), tokens, reduction="none")
        (losses * weights).sum().backward()

    return {
        "kd_head_vs_text": ratio_of(chunked(stored), chunked(text)),
        "alm_head_vs_text": ratio_of(chunked([across], across.groups), chunked(text)),
        "text_head_vs_dense": ratio_of(chunked(text), dense),
    }


def parts(positions: int, vocabulary: int, hidden: int) -> tuple[Any, Any, Any, Any]:
    """A head, hidden states (N, H), true tokens (N,) and weights (N,)."""
    torch.manual_seed(0)
    head, states = torch.nn.Linear(hidden, vocabulary, bias=False), torch.randn(positions, hidden, requires_grad=True)
    return head, states, torch.randint(0, vocabulary, (positions,)), torch.full((positions,), 1 / positions)


def distillation(tokens: torch.Tensor, weights: torch.Tensor, vocabulary: int, device: str = "cpu") -> Distillation:
    """Half cross-entropy, half forward KL from power-law distributions that hold the true tokens."""
    given = power_law(np.random.default_rng(0), len(tokens))
    ids = (tokens[:, None] + torch.arange(K) * (vocabulary // K)) % vocabulary  # the true token first
    p = torch.from_numpy(np.concatenate([given.logprobs, given.tail_logmass[:, None]], axis=1).astype(np.float32))
    ids, p, ranks, half = (part.to(device) for part in (ids, p, torch.zeros_like(tokens), weights / 2))
    return Distillation(ids, p, half, forward_kl, ranks=ranks, by_token=half)


def matching(tokens: torch.Tensor, weights: torch.Tensor) -> Matching:
    """Half cross-entropy, half approximate likelihood matching, each two tokens a span."""
    places = torch.arange(len(tokens))
    closes = places % 2 == 1
    logprobs = torch.where(closes, -1.5, 0.0)
    return Matching(tokens[:, None], places // 2, closes, logprobs, weights / 2, 100 * float(weights[0]) / 2, 100.0)


def step_ratio() -> float:
    """Forward and backward pass of a Llama of six layers, collation included."""
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(0)
    shape = {"hidden_size": 192, "intermediate_size": 576, "num_hidden_layers": 6, "num_attention_heads": 4}
    model = LlamaForCausalLM(LlamaConfig(vocab_size=VOCABULARY, **shape))
    rollouts, text = Rollouts.drawn(ROWS, PROMPT, ANSWER, VOCABULARY), TextSignal(pad=0)
    with tempfile.TemporaryDirectory() as folder:
        logits, examples = rollouts.signal(Path(folder), StudentTrainingConfig(signal="logits")), rollouts.examples
        with computing_loss(model):

            def step(signal: Any) -> Callable[[], None]:
                return lambda: signal.loss(model, signal.collate(examples), 1.0).backward()

            return ratio_of(step(logits), step(text))


def peak_ratio() -> float:
    """Memory above what stands before the loss, each side in a process of its own."""
    context = multiprocessing.get_context("spawn")
    with context.Pool(1, maxtasksperchild=1) as pool:
        ours, dense = pool.map(_loss_bytes, ["ours", "dense"], chunksize=1)
    return ours / dense


def _loss_bytes(side: str) -> int:
    head, hidden, tokens, weights = parts(LONG, LARGE, 64)
    head.weight.grad = torch.zeros_like(head.weight)  # both sides need it
    if side == "ours":
        term = distillation(tokens, weights, LARGE)
        before = forget_peak()
        head_loss(hidden, head, [term]).backward()
        return peak_bytes() - before
    teacher = torch.randn(LONG, LARGE).log_softmax(-1)
    before = forget_peak()
    student = head(hidden).log_softmax(-1)
    divergence = torch.nn.functional.kl_div(student, teacher, log_target=True, reduction="none").sum(-1)
    ((divergence - student.gather(1, tokens[:, None])[:, 0]) * weights).sum().backward()
    return peak_bytes() - before


def capture_ratios() -> dict[str, float]:
    """Head and `keep` for a batch of positions in slices of the size that a CPU takes."""
    head, hidden, tokens, _ = parts(POSITIONS, VOCABULARY, HIDDEN)
    uniforms = torch.rand(POSITIONS, MOST_DRAWS)
    slices = [slice(start, start + 85) for start in range(0, POSITIONS, 85)]

    def capture(kept: Callable[[Any, slice], Any]) -> Callable[[], None]:
        def run() -> None:
            with torch.inference_mode():
                for part in slices:
                    kept(8 * head(hidden[part]), part)

        return run

    plain = capture(lambda logits, part: _k_alone(logits, tokens[part]))
    bucket = capture(lambda logits, part: keep(logits, tokens[part], K))
    sampled = capture(lambda logits, part: keep(logits, tokens[part], K, uniforms[part]))
    return {"capture_bucket_vs_k": ratio_of(bucket, plain), "capture_sampled_vs_k": ratio_of(sampled, plain)}


def _k_alone(logits: torch.Tensor, targets: torch.Tensor) -> Sequence[torch.Tensor]:
    """The k likeliest tokens, the true one and the tail's mass, with no more passes over the logits than that takes."""
    values, ids = logits.topk(K, dim=-1)
    outside = ~(ids == targets[:, None]).any(dim=-1)
    own = logits.gather(1, targets[:, None])[:, 0]
    ids[outside, -1], values[outside, -1] = targets[outside], own[outside]
    highest = values[:, :1].clone()
    rest = logits.scatter_(1, ids, float("-inf")).sub_(highest).exp_().sum(dim=-1)
    values -= highest
    total = (rest + values.exp().sum(dim=-1)).log()
    return ids.int(), (values - total[:, None]).half(), (rest.log() - total).half()
