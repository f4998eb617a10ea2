"""Is the gradient that of the whole distribution? Ours and that of other libraries' losses, on the same two batches.

For each loss, the gradient with respect to the student's logits over all positions, against the dense one: that of
T² KL(teacher ‖ student), averaged over positions, in float64.

    conformance_NAME_cosine_early    1: it points the same way    a student that knows little but token frequencies
    conformance_NAME_norm_early      1: it is as long
    conformance_NAME_cosine_late     the same for a student that is near the teacher
    conformance_NAME_norm_late
    conformance_NAME_cosine_late_t2  the same at T = 2, where the loss has a temperature
    conformance_NAME_norm_late_t2    1/4: T² is missing from the gradient

The batches are drawn: 128 positions, 49,152 tokens, and a teacher whose probabilities fall off by a power law. Its 64
likeliest tokens leave out 3 % of its mass at T = 1 and 50 % at T = 2, about as SmolLM2-135M's do (2 % and 50 %). Of the
student's mass they leave out 53 % (early) and 5 % (late). Other libraries' losses are run from their wheels
(`_peers.py`), which pip downloads into a temporary folder; those that cannot be had are left out, and a line says so.
"""

import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from distill_dagster.logits.distributions import MOST_DRAWS
from distill_dagster.logits.prefill import keep
from distill_dagster.logits.table import LogitsRow
from distill_dagster.training.signals.divergence import forward_kl
from distill_dagster.training.signals.kernel import logits_loss
from distill_dagster.training.signals.logits import Distillation, at_temperature

POSITIONS, VOCABULARY, K = 128, 49_152, 64


@dataclass(frozen=True, slots=True)
class Batch:
    """Logits of both sides, (N, V) float32."""

    teacher: torch.Tensor
    student: torch.Tensor
    k: int = K

    @classmethod
    def drawn(cls, student: str, positions: int = POSITIONS, vocabulary: int = VOCABULARY) -> "Batch":
        """The same batch at every call; the teacher's is that of any other student too."""
        random = torch.Generator().manual_seed(0)
        falls = torch.empty(positions, 1).uniform_(1.6, 2.9, generator=random)
        flat = torch.empty(positions, 1).uniform_(-2.0, 1.5, generator=random).exp()
        ranks = torch.stack([torch.randperm(vocabulary, generator=random) for _ in range(positions)])
        frequency = (-(torch.randperm(vocabulary, generator=random) + 2.7).log()).log_softmax(-1)
        teacher = -falls * (1 + ranks + flat).log() + 0.3 * torch.randn(positions, vocabulary, generator=random)
        noise = torch.randn(positions, vocabulary, generator=random)
        if student == "late":
            return cls(teacher, 0.9 * teacher + 0.3 * noise)
        return cls(teacher, torch.logaddexp(frequency, (0.9 * teacher + 0.7 * noise).log_softmax(-1)))

    def top(self, temperature: float = 1.0) -> tuple[torch.Tensor, torch.Tensor]:
        """The teacher's log-probabilities and ids of the k likeliest tokens, (N, k) each."""
        return (self.teacher / temperature).log_softmax(-1).topk(self.k)


Loss = Callable[
    [torch.Tensor, Batch, int], torch.Tensor
]  # student's logits (N, V), batch, T -> the mean over positions


@dataclass(frozen=True, slots=True)
class Row:
    """A loss, and whether it has a temperature."""

    loss: Loss
    hot: bool = True


def measure() -> dict[str, float]:
    """Cosine and norm ratio of every row."""
    from benchmarks._peers import peers

    early, late = Batch.drawn("early"), Batch.drawn("late")
    with tempfile.TemporaryDirectory() as folder:
        rows, missing = peers(Path(folder))
        for name, why in missing.items():
            print(f"left out: {name}: {why}", file=sys.stderr)
        made = [compared(name, row, early, late) for name, row in (OURS | rows).items()]
    return {key: value for figures in made for key, value in figures.items()}


def compared(name: str, row: Row, early: Batch, late: Batch) -> dict[str, float]:
    """The keys of one row."""
    made = {}
    for batch, temperature, suffix in ((early, 1, "early"), (late, 1, "late"), (late, 2, "late_t2"))[: 2 + row.hot]:
        found, dense = gradient(row.loss, batch, temperature), gradient(dense_loss, batch, temperature)
        cosine = torch.nn.functional.cosine_similarity(found.flatten(), dense.flatten(), dim=0)
        made[f"conformance_{name}_cosine_{suffix}"] = cosine.item()
        made[f"conformance_{name}_norm_{suffix}"] = (found.norm() / dense.norm()).item()
    return made


def gradient(loss: Loss, batch: Batch, temperature: int) -> torch.Tensor:
    """With respect to the student's logits, (N, V) float64."""
    student = batch.student.clone().requires_grad_()
    (found,) = torch.autograd.grad(loss(student, batch, temperature), student)
    return found.double()


def dense_loss(student: torch.Tensor, batch: Batch, temperature: int) -> torch.Tensor:
    """T² KL over the whole vocabulary."""
    p = (batch.teacher.double() / temperature).log_softmax(-1)
    q = (student.double() / temperature).log_softmax(-1)
    return temperature**2 * (p.exp() * (p - q)).sum(-1).mean()


def stored(batch: Batch, tail: str) -> LogitsRow:
    """What `teacher_logits` keeps of the batch; the true token of each position is the likeliest."""
    tokens, logits = batch.teacher.argmax(-1), batch.teacher.clone()
    uniforms = (
        None if tail == "bucket" else torch.rand(len(tokens), MOST_DRAWS, generator=torch.Generator().manual_seed(0))
    )
    ids, logprobs, mass, _, rest = (part.numpy() for part in keep(logits, tokens, batch.k, uniforms))
    constants = {"vocab_size": logits.shape[1], "temperature": 1.0, "tokenizer_hash": "", "teacher_revision": ""}
    return LogitsRow(
        ids=ids.astype(np.int64),
        logprobs=logprobs.astype(np.float32),
        tail_logmass=mass.astype(np.float32),
        tail_logsums=rest.astype(np.float32) if tail == "bucket" else None,
        draws=None if tail == "bucket" else rest.astype(np.int64),
        token_ids=tokens.numpy(),
        **{"row_id": "", "sample": 0, "turn": 0},
        **constants,
    )


def ours(tail: str, k: int | None = None) -> Loss:
    """T² times the divergence of the signal `logits`, as captured (fp16) and read back."""

    def loss(student: torch.Tensor, batch: Batch, temperature: int) -> torch.Tensor:
        row = stored(Batch(batch.teacher, batch.student, k or batch.k), tail)
        logprobs, mass = at_temperature(row, temperature)
        share = None
        if row.draws is not None:
            drawn = row.draws >= 0
            share = torch.from_numpy(np.where(drawn, np.exp(mass)[:, None] / drawn.sum(1, keepdims=True), 0))
        term = Distillation(
            ids=torch.from_numpy(row.ids),
            p=torch.from_numpy(np.concatenate([logprobs, mass[:, None]], axis=1)),
            by_divergence=torch.full((len(student),), temperature**2 / len(student)),
            divergence=forward_kl,
            temperature=float(temperature),
            drawn=None if row.draws is None else torch.from_numpy(np.maximum(row.draws, 0)),
            share=share,
        )
        return logits_loss(student, [term])

    return loss


OURS = {
    "ours_bucket": Row(ours("bucket")),
    "ours_sampled": Row(ours("sampled"), hot=False),
    "ours_full": Row(ours("bucket", VOCABULARY)),
}
