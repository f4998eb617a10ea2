"""With every token stored, D is what TRL computes from the same logits: two independent implementations.

TRL names its divergences by one number: beta 0 is the forward KL and beta 1 the reverse KL, which are not the limits of
what lies between (the generalised Jensen-Shannon is 0 at both ends). It divides logits by T and leaves out T squared.
"""

import os

import numpy as np
import pytest
import torch

from distill_dagster.logits.distributions import LOWEST, TEMPERATURES
from distill_dagster.logits.table import LogitsRow
from distill_dagster.training.signals.divergence import divergence_of
from distill_dagster.training.signals.kernel import head_loss, logits_loss
from distill_dagster.training.signals.logits import Distillation, at_temperature

N, H, V = 9, 6, 31
NAMES = {0.0: "forward_kl", 1.0: "reverse_kl"}  # TRL's beta
BETAS = [0.0, 0.1, 0.5, 0.9, 1.0]

pytestmark = [
    pytest.mark.parametrize("temperature", [1, 2, 4]),
    pytest.mark.parametrize("beta", BETAS),
    pytest.mark.xdist_group("trl"),  # which one process imports, in 8 CPU seconds
]


@pytest.fixture(scope="module")
def trl_dense():
    """TRL's loss over dense logits, in their precision."""
    os.environ["TRL_EXPERIMENTAL_SILENCE"] = "1"
    from trl.experimental.gkd import GKDTrainer

    return GKDTrainer.generalized_jsd_loss


@pytest.fixture
def logits():
    random = torch.Generator().manual_seed(0)
    return tuple(3 * torch.randn(N, V, generator=random, dtype=torch.float64) for _ in range(2))


def stored(teacher: torch.Tensor) -> LogitsRow:
    """All tokens of each position, the likeliest first, in full precision."""
    logs, ids = teacher.log_softmax(-1).sort(descending=True)
    keys = {"row_id": "", "sample": 0, "turn": 0, "token_ids": ids[:, 0].numpy()}
    constants = {"vocab_size": V, "temperature": 1.0, "tokenizer_hash": "", "teacher_revision": ""}
    tail = {"tail_logmass": np.full(N, LOWEST), "tail_logsums": np.full((N, len(TEMPERATURES)), LOWEST), "draws": None}
    return LogitsRow(ids=ids.numpy(), logprobs=logs.numpy(), **tail, **keys, **constants)


def ours(row: LogitsRow, beta: float, temperature: int) -> Distillation:
    """The mean of T squared times the divergence over all positions, as `LogitsSignal` has it."""
    logprobs, tail = at_temperature(row, temperature)
    p = torch.from_numpy(np.concatenate([logprobs, tail[:, None]], axis=1))
    divergence = divergence_of(NAMES.get(beta, "jsd"), skew=0.1, beta=beta or 0.5)
    weights = torch.full((N,), temperature**2 / N, dtype=torch.float64)
    return Distillation(torch.from_numpy(row.ids), p, weights, divergence, float(temperature))


def test_loss_and_gradient_are_t_squared_times_those_of_trl(trl_dense, logits, beta, temperature):
    teacher, student = logits
    student = student.requires_grad_()
    labels = torch.zeros(1, N, dtype=torch.long)
    theirs = trl_dense(student[None], teacher[None], labels, beta=beta, temperature=temperature)
    mine = logits_loss(student, [ours(stored(teacher), beta, temperature)])
    assert theirs.item() > 1e-3
    assert mine.item() == pytest.approx(temperature**2 * theirs.item(), rel=1e-9)
    (expected,), (found,) = torch.autograd.grad(theirs, student), torch.autograd.grad(mine, student)
    torch.testing.assert_close(found, temperature**2 * expected, rtol=1e-7, atol=1e-12)


def test_the_head_and_its_gradients_are_those_of_trls_kernel(beta, temperature):
    """Its trainer's own kernel, which has both heads and computes in float32."""
    from trl.kernels.chunked_divergence import ChunkedDivergenceFunction

    random = torch.Generator().manual_seed(1)
    hidden, their_hidden = (2 * torch.randn(N, H, generator=random) for _ in range(2))
    head, their_head = (torch.nn.Linear(H, V, bias=False) for _ in range(2))
    inputs = (hidden.requires_grad_(), head.weight)
    none = None
    theirs, _ = ChunkedDivergenceFunction.apply(*inputs, none, their_hidden, their_head.weight, none, beta, temperature)
    row = stored(their_hidden.double() @ their_head.weight.detach().double().T)
    mine = head_loss(hidden, head, [ours(row, beta, temperature)])
    assert mine.item() == pytest.approx(temperature**2 * theirs.mean().item(), rel=1e-4)
    for found, expected in zip(
        torch.autograd.grad(mine, inputs), torch.autograd.grad(theirs.mean(), inputs), strict=True
    ):
        torch.testing.assert_close(found, temperature**2 * expected, rtol=1e-3, atol=1e-6)
