"""How much of the way from cross-entropy to full distillation does what is stored of a distribution go?

    python -m benchmarks._gap_closed TEACHER TEXTS… --held-out TEXTS… [--tokens 200000] [--epochs 1] [--seeds 2]

The setting of "Sparse Logit Sampling" (Anshumann et al., arXiv 2503.16870), small: a language model learns texts from a
pretrained teacher's distribution at every token, without cross-entropy. TEACHER is a folder, TEXTS are jsonl files of
messages. Every student has the same size, data, order and steps, and differs in its target alone:

    ce          the true token
    full        the teacher's whole distribution
    truncated   its k likeliest tokens, renormalised
    true_token  the k, and the rest of the mass on the true token
    bucket      the k, and one outcome for the rest: `teacher.logits.tail: bucket`
    sampled     the k, and draws from the rest, the same in every epoch: `tail: sampled`

The share of an arm is (loss of ce - its loss) / (loss of ce - loss of full). The loss is the mean cross-entropy of the
held-out texts' tokens after the last step, and the mean over seeds.
"""

import argparse
import json
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedModel

from distill_dagster.logits.distributions import MOST_DRAWS, NO_DRAW
from distill_dagster.logits.prefill import keep
from distill_dagster.models.loading import open_model
from distill_dagster.models.tokenizer import open_tokenizer
from distill_dagster.training.signals.divergence import forward_kl
from distill_dagster.training.signals.forward import computing_loss
from distill_dagster.training.signals.kernel import Term
from distill_dagster.training.signals.logits import Distillation
from distill_dagster.training.signals.text import CrossEntropy

ARMS = ("ce", "full", "truncated", "true_token", "bucket", "sampled")
LENGTH, ROWS, K = 256, 2, 64
STUDENT: dict[str, Any] = {
    "hidden_size": 128,
    "intermediate_size": 384,
    "num_hidden_layers": 6,
    "num_attention_heads": 4,
}
RATE, WARM_UP = 2e-3, 0.1


def packed(paths: Sequence[Path], tokenizer: Any, tokens: int) -> torch.Tensor:
    """The first tokens of the texts, in rows of `LENGTH`, (R, LENGTH)."""
    ids: list[int] = []
    for line in (line for path in paths for line in path.open(encoding="utf-8")):
        row = json.loads(line)
        said = [message["content"] for message in row["messages"]] + [str(row.get("reference") or "")]
        ids += [*tokenizer.encode("\n".join(said), add_special_tokens=False), tokenizer.eos_token_id]
        if len(ids) >= tokens:
            break
    whole = min(len(ids), tokens) // LENGTH * LENGTH
    return torch.tensor(ids[:whole]).view(-1, LENGTH)


class Teacher:
    """The teacher's last hidden states over the training rows, from which its logits are computed batch by batch."""

    def __init__(self, model: PreTrainedModel, rows: torch.Tensor) -> None:
        self.head = model.get_output_embeddings().weight.detach().float()  # (V, H)
        body = model.get_decoder()
        with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
            parts = [body(input_ids=part, use_cache=False).last_hidden_state[:, :-1] for part in rows.split(ROWS)]
        self.states = torch.cat([part.bfloat16() for part in parts])  # (R, LENGTH - 1, H)

    def logits(self, places: torch.Tensor) -> torch.Tensor:
        """Logits (N, V) of these rows."""
        return self.states[places].flatten(0, 1).float() @ self.head.T

    def term(self, arm: str, places: torch.Tensor, tokens: torch.Tensor, weights: torch.Tensor) -> Term:
        """The target of an arm at N tokens."""
        if arm == "ce":
            return CrossEntropy(tokens[:, None], weights)
        logits = self.logits(places)
        if arm == "full":
            p = torch.nn.functional.pad(logits.log_softmax(dim=-1), (0, 1), value=float("-inf"))
            ids = torch.arange(logits.shape[1]).expand(len(tokens), -1)
            return Distillation(ids, p, weights, forward_kl)
        ids, kept, tail, ranks, draws = keep(logits, tokens, K, _uniforms(places) if arm == "sampled" else None)
        ids, kept, tail = ids.long(), kept.float(), tail.float()
        if arm == "truncated":
            kept, tail = kept.log_softmax(dim=-1), torch.full_like(tail, float("-inf"))
        if arm == "true_token":
            own = kept.gather(1, ranks[:, None].long())
            kept = kept.scatter(1, ranks[:, None].long(), torch.logaddexp(own, tail[:, None]))
            tail = torch.full_like(tail, float("-inf"))
        p = torch.cat([kept, tail[:, None]], dim=-1)
        if arm != "sampled":
            return Distillation(ids, p, weights, forward_kl)
        is_drawn = draws != NO_DRAW
        share = torch.where(is_drawn, (tail.exp() / is_drawn.sum(dim=1))[:, None], 0.0)
        return Distillation(ids, p, weights, forward_kl, drawn=draws.clamp(min=0).long(), share=share)


def _uniforms(places: torch.Tensor) -> torch.Tensor:
    """Numbers in [0, 1) for the draws of these rows, the same whenever a row comes, (N, MOST_DRAWS)."""
    each = [np.random.default_rng(int(place)).random((LENGTH - 1, MOST_DRAWS)) for place in places]
    return torch.from_numpy(np.concatenate(each))


def _batches(rows: int, epochs: int, seed: int) -> Iterator[torch.Tensor]:
    """Whole batches of row numbers."""
    for epoch in range(epochs):
        order = np.random.default_rng([seed, epoch]).permutation(rows)
        yield from torch.from_numpy(order[: rows // ROWS * ROWS]).split(ROWS)


def train(arm: str, seed: int, teacher: Teacher, rows: torch.Tensor, held_out: torch.Tensor, epochs: int) -> float:
    """The held-out loss of a student that has learned the rows."""
    torch.manual_seed(seed)
    student = LlamaForCausalLM(LlamaConfig(vocab_size=len(teacher.head), tie_word_embeddings=True, **STUDENT))
    batches = list(_batches(len(rows), epochs, seed))
    optimizer = torch.optim.AdamW(student.parameters(), lr=RATE, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, RATE, total_steps=len(batches), pct_start=WARM_UP)
    counted = torch.ones(ROWS, LENGTH, dtype=torch.bool)
    with computing_loss(student):
        for places in batches:
            ids = rows[places]
            tokens = ids[:, 1:].flatten()
            term = teacher.term(arm, places, tokens, torch.full((len(tokens),), 1 / len(tokens)))
            with torch.autocast("cpu", torch.bfloat16):
                loss = student(input_ids=ids, counted=counted, terms=[term])
            loss.backward()
            torch.nn.utils.clip_grad_norm_(student.parameters(), 1.0)
            optimizer.step()
            optimizer.zero_grad()
            schedule.step()
        return _loss(student, held_out)


def _loss(student: Any, rows: torch.Tensor) -> float:
    """The mean cross-entropy over the tokens of rows but the first of each."""
    total = 0.0
    with torch.no_grad():
        for ids in rows.split(ROWS):
            tokens = ids[:, 1:].flatten()
            term = CrossEntropy(tokens[:, None], torch.ones(len(tokens)))
            total += float(student(input_ids=ids, counted=torch.ones_like(ids, dtype=torch.bool), terms=[term]))
    return total / (len(rows) * (LENGTH - 1))


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the experiment, and print each training's loss, then the shares."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks._gap_closed")
    parser.add_argument("teacher", type=Path)
    parser.add_argument("texts", type=Path, nargs="+")
    parser.add_argument("--held-out", type=Path, nargs="+", required=True)
    parser.add_argument("--tokens", type=int, default=200_000)
    parser.add_argument("--epochs", type=int, default=1)
    parser.add_argument("--seeds", type=int, default=2)
    options = parser.parse_args(arguments)
    tokenizer = open_tokenizer(options.teacher)
    rows = packed(options.texts, tokenizer, options.tokens)
    held_out = packed(options.held_out, tokenizer, options.tokens // 5)
    model = open_model(options.teacher, "float32")
    with computing_loss(model):
        print(f"{rows.numel():,} tokens, {held_out.numel():,} held out; teacher's loss {_loss(model, held_out):.3f}")
    teacher = Teacher(model, rows)
    losses: dict[str, list[float]] = {arm: [] for arm in ARMS}
    for seed in range(options.seeds):
        for arm in ARMS:
            began = time.process_time()
            losses[arm].append(train(arm, seed, teacher, rows, held_out, options.epochs))
            print(f"seed {seed} {arm:<10} {losses[arm][-1]:.4f} in {time.process_time() - began:.0f} CPU s", flush=True)
    ce, full = (np.mean(losses[arm]) for arm in ("ce", "full"))
    for arm in ARMS:
        shares = [100 * (ce - loss) / (ce - full) for loss in losses[arm]]
        each = ", ".join(f"{share:.0f}" for share in shares)
        print(f"{arm:<10} {np.mean(losses[arm]):.4f}  {np.mean(shares):5.1f} % of the gap (seeds {each})")


if __name__ == "__main__":
    main()
