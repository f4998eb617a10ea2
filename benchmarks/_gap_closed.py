"""How much of the way from cross-entropy to full distillation does what is stored of a distribution go?

    python -m benchmarks._gap_closed TEACHER TEXTS… --held-out TEXTS… [--tokens 1000000] [--seed 0] [--looks 4]

The setting of "Sparse Logit Sampling" (Anshumann et al., arXiv 2503.16870), small: a language model learns texts from a
pretrained teacher's distribution at every token, without cross-entropy. TEACHER is a folder, TEXTS are jsonl files of
messages. Every student has the same weights to start with, data, order and steps, and differs in its target alone:

    ce          the true token
    full        the teacher's whole distribution, by a dense computation of its own
    truncated   its k likeliest tokens, renormalised
    true_token  the k, and the rest of the mass on the true token
    bucket      the k, and one outcome for the rest: `teacher.logits.tail: bucket`
    sampled     the k, and draws from the rest: `tail: sampled`

Two losses of the held-out texts are measured at `--looks` points of the training: `tokens`, the mean cross-entropy on
their tokens, and `teacher`, that on the teacher's distributions, which is the KL from them plus a constant. Before the
last look, the learning rate has not fallen yet. The share of an arm is (loss of ce - its loss) / (loss of ce - loss of
full). The intervals (95 %, Student's t over the held-out rows, paired) do not hold what another seed would change.
"""

import argparse
import contextlib
import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy.stats import t as student_t
from transformers import LlamaConfig, LlamaForCausalLM

from distill_dagster.logits.distributions import MOST_DRAWS, NO_DRAW
from distill_dagster.logits.prefill import keep
from distill_dagster.models.loading import open_model
from distill_dagster.models.tokenizer import open_tokenizer
from distill_dagster.training.signals.divergence import forward_kl
from distill_dagster.training.signals.forward import computing_loss
from distill_dagster.training.signals.logits import Distillation
from distill_dagster.training.signals.text import CrossEntropy

ARMS = ("ce", "full", "truncated", "true_token", "bucket", "sampled")
LENGTH, ROWS, K = 256, 4, 64
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

    def __init__(self, model: Any, rows: torch.Tensor) -> None:
        self.head = model.get_output_embeddings().weight.detach().float()  # (V, H)
        body = model.get_decoder()
        with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
            parts = [body(input_ids=part, use_cache=False).last_hidden_state[:, :-1] for part in rows.split(ROWS)]
        self.states = torch.cat([part.bfloat16() for part in parts])  # (R, LENGTH - 1, H)

    def logits(self, places: torch.Tensor) -> torch.Tensor:
        """Logits (N, V) of these rows."""
        return self.states[places].flatten(0, 1).float() @ self.head.T


def targets(logits: torch.Tensor, tokens: torch.Tensor, uniforms: torch.Tensor) -> dict[str, Any]:
    """What each arm learns at N tokens from the teacher's logits (N, V), which are overwritten; `full` (N, V)."""
    whole = logits.softmax(dim=-1)
    weights = torch.full((len(tokens),), 1 / len(tokens))
    ids, kept, tail, ranks, draws = keep(logits, tokens, K, uniforms)
    ids, kept, tail, places = ids.long(), kept.float(), tail.float(), ranks[:, None].long()
    nothing = torch.full_like(tail, float("-inf"))
    with_tail = kept.scatter(1, places, torch.logaddexp(kept.gather(1, places), tail[:, None]))
    is_drawn = draws != NO_DRAW
    share = torch.where(is_drawn, (tail.exp() / is_drawn.sum(dim=1))[:, None], 0.0)

    def stored(kept: torch.Tensor, tail: torch.Tensor, **drawn: Any) -> Distillation:
        return Distillation(ids, torch.cat([kept, tail[:, None]], dim=-1), weights, forward_kl, **drawn)

    return {
        "ce": CrossEntropy(tokens[:, None], weights),
        "full": whole,
        "truncated": stored(kept.log_softmax(dim=-1), nothing),
        "true_token": stored(with_tail, nothing),
        "bucket": stored(kept, tail),
        "sampled": stored(kept, tail, drawn=draws.clamp(min=0).long(), share=share),
    }


class Student:
    """One arm's model while it is trained. It has to be inside `computing_loss`."""

    def __init__(self, seed: int, vocabulary: int, steps: int) -> None:
        torch.manual_seed(seed)
        self.model: Any = LlamaForCausalLM(LlamaConfig(vocab_size=vocabulary, tie_word_embeddings=True, **STUDENT))
        self.optimizer = torch.optim.AdamW(self.model.parameters(), lr=RATE, weight_decay=0.01)
        self.schedule = torch.optim.lr_scheduler.OneCycleLR(self.optimizer, RATE, total_steps=steps, pct_start=WARM_UP)

    def learn(self, ids: torch.Tensor, target: Any) -> None:
        """One step on rows of tokens (R, LENGTH), towards a `Term` or whole distributions (N, V)."""
        with torch.autocast("cpu", torch.bfloat16):
            if isinstance(target, torch.Tensor):
                states = self.model.model(input_ids=ids).last_hidden_state[:, :-1].flatten(0, 1)  # (N, H)
                own = (states @ self.model.lm_head.weight.T).float().log_softmax(dim=-1)  # (N, V)
                loss = -(target * own).sum() / len(own)
            else:
                loss = self.model(input_ids=ids, counted=torch.ones_like(ids, dtype=torch.bool), terms=[target])
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        self.optimizer.step()
        self.optimizer.zero_grad()
        self.schedule.step()


def losses(model: Any, rows: torch.Tensor, teacher: Teacher) -> dict[str, np.ndarray]:
    """Cross-entropy of each row without its first token, (R,): on its tokens, and on the teacher's distributions."""
    found: dict[str, list[float]] = {"tokens": [], "teacher": []}
    with torch.no_grad():
        for place, ids in enumerate(rows):
            states = model.model(input_ids=ids[None]).last_hidden_state[0, :-1]
            own = (states @ model.lm_head.weight.T).log_softmax(dim=-1)  # (LENGTH - 1, V)
            wanted = teacher.logits(torch.tensor([place])).softmax(dim=-1)
            found["tokens"].append(-float(own.gather(1, ids[1:, None]).mean()))
            found["teacher"].append(-float((wanted * own).sum(dim=-1).mean()))
    return {name: np.array(each) for name, each in found.items()}


def train(seed: int, teacher: Teacher, rows: torch.Tensor, apart: Teacher, held_out: torch.Tensor, looks: int) -> None:
    """Train a student of each arm on the rows, once, and print what they have learned at each look."""
    steps = len(rows) // ROWS
    students = {arm: Student(seed, len(teacher.head), steps) for arm in ARMS}
    order = torch.from_numpy(np.random.default_rng(seed).permutation(len(rows))[: steps * ROWS])
    looked_at = {steps * look // looks for look in range(1, looks + 1)}
    began = time.process_time()
    with contextlib.ExitStack() as stack:
        for student in students.values():
            stack.enter_context(computing_loss(student.model))
        for step, places in enumerate(order.split(ROWS), start=1):
            ids = rows[places]
            logits = teacher.logits(places)
            uniforms = np.random.default_rng([seed, step]).random((len(logits), MOST_DRAWS))
            by_arm = targets(logits, ids[:, 1:].flatten(), torch.from_numpy(uniforms))
            for arm, student in students.items():
                student.learn(ids, by_arm[arm])
            if step in looked_at:
                print(f"\n{step * ROWS * LENGTH:,} tokens, {time.process_time() - began:.0f} CPU s")
                report({arm: losses(student.model, held_out, apart) for arm, student in students.items()})


def report(by_arm: dict[str, dict[str, np.ndarray]]) -> None:
    """Print both losses of each arm, how much less than those of ce they are, and its share of the way."""
    for name in by_arm["ce"]:
        way = (by_arm["ce"][name] - by_arm["full"][name]).mean()
        for arm, found in by_arm.items():
            less = by_arm["ce"][name] - found[name]
            half = student_t.ppf(0.975, len(less) - 1) * less.std(ddof=1) / np.sqrt(len(less))
            share = 100 * less.mean() / way
            print(
                f"{name:<8} {arm:<10} {found[name].mean():.4f}  {less.mean():7.4f} ± {half:.4f}  {share:6.1f} %",
                flush=True,
            )


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the experiment."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks._gap_closed")
    parser.add_argument("teacher", type=Path)
    parser.add_argument("texts", type=Path, nargs="+")
    parser.add_argument("--held-out", type=Path, nargs="+", required=True)
    parser.add_argument("--tokens", type=int, default=1_000_000)
    parser.add_argument("--held-out-tokens", type=int, default=50_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--looks", type=int, default=4)
    options = parser.parse_args(arguments)
    tokenizer = open_tokenizer(options.teacher)
    rows = packed(options.texts, tokenizer, options.tokens)
    held_out = packed(options.held_out, tokenizer, options.held_out_tokens)
    model = open_model(options.teacher, "float32")
    teacher, apart = Teacher(model, rows), Teacher(model, held_out)
    print(f"{rows.numel():,} tokens, {held_out.numel():,} held out", flush=True)
    train(options.seed, teacher, rows, apart, held_out, options.looks)


if __name__ == "__main__":
    main()
