"""What distillation with stored distributions costs beside TRL's, which has the teacher in the process.

CPU seconds; the two sides alternate, and the ratio is that of the fastest of five rounds each. Heads have
SmolLM2-135M's shape (hidden size 576, 49,152 tokens), k = 64, forward KL at T = 1.

    trl_head_vs_ours         TRL's kernel, which runs the heads of student and teacher / ours; loss and gradients
    online_step_vs_stored    a whole optimizer step of a student of six layers: TRL's DistillationTrainer with a teacher
                             of 30 layers (SmolLM2-135M's shape) / ours with stored distributions, collation included
"""

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from benchmarks._online import Rollouts, our_step, trl_step
from benchmarks.signals import HIDDEN, POSITIONS, VOCABULARY, distillation, parts, ratio_of
from distill_dagster.training.signals.divergence import forward_kl
from distill_dagster.training.signals.kernel import head_loss
from distill_dagster.training.signals.logits import Distillation

LAYERS = {"teacher": 30, "student": 6}
SHAPE = {"hidden_size": HIDDEN, "intermediate_size": 1536, "num_attention_heads": 9, "num_key_value_heads": 3}
ROWS, PROMPT, ANSWER = 4, 32, 96


def measure() -> dict[str, float]:
    """Both ratios; above 1 ours is cheaper."""
    torch.set_num_threads(1)
    return {"trl_head_vs_ours": head_ratio(), "online_step_vs_stored": step_ratio()}


def head_ratio() -> float:
    """Head, loss and gradients of one batch."""
    from trl.trainer.distillation_trainer import _chunked_divergence_loss

    head, hidden, tokens, weights = parts(POSITIONS, VOCABULARY, HIDDEN)
    their_head, their_hidden, *_ = parts(POSITIONS, VOCABULARY, HIDDEN)
    mask = torch.ones(1, POSITIONS, dtype=torch.long)
    whole = distillation(tokens, weights, VOCABULARY)
    term = Distillation(whole.ids, whole.p, weights, forward_kl)  # without the cross-entropy, which TRL has not

    def theirs() -> None:
        states, given = hidden[None], their_hidden[None].detach()
        loss, *_ = _chunked_divergence_loss(states, given, head.weight, their_head.weight.detach(), mask, beta=0.0)
        loss.backward()

    return ratio_of(theirs, lambda: head_loss(hidden, head, [term]).backward())


def step_ratio() -> float:
    """The whole step of both sides, on models of their own."""
    rollouts = Rollouts.drawn(ROWS, PROMPT, ANSWER, VOCABULARY)
    with tempfile.TemporaryDirectory() as folder:
        signal = rollouts.signal(Path(folder))
        theirs = trl_step(llama("student"), llama("teacher"), rollouts, Path(folder), "cpu")
        ours = our_step(llama("student"), signal, _collated(signal, rollouts), "cpu")
        return ratio_of(theirs, ours)


def llama(role: str) -> Any:
    """A Llama with random weights."""
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(0)
    ends = {"bos_token_id": None, "eos_token_id": 1, "pad_token_id": 0}
    config = LlamaConfig(
        vocab_size=VOCABULARY, num_hidden_layers=LAYERS[role], tie_word_embeddings=True, **SHAPE, **ends
    )
    return LlamaForCausalLM(config)


def _collated(signal: Any, rollouts: Rollouts) -> Callable[[], Any]:
    return lambda: signal.collate(rollouts.examples)
