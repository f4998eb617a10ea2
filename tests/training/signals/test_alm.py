"""Approximate likelihood matching: the objective over spans is that of a dense computation, however it is cut."""

import pytest
import torch

from distill_dagster.training.signals.alm import (
    Matching,
    binary_cross_entropy,
    log1mexp,
    own_logprobs,
)
from distill_dagster.training.signals.kernel import LogProbs, head_loss, logits_loss

N, H, V, TAU = 9, 5, 23, 100.0
SPANS = [[1], [2, 3, 4], [6], [7, 8]]  # tokens 0 and 5 are outside of all
GROUPS = torch.tensor([0, 1, 2, 2, 2, 3, 4, 5, 5])


def matching(ids, logprobs, alpha=0.25, tau=TAU, dtype=torch.float64):
    """A term over SPANS whose teacher gives each token these log-probabilities (N,)."""
    closes, sums, in_span = (
        torch.zeros(N, dtype=torch.bool),
        torch.zeros(N, dtype=dtype),
        torch.zeros(N, dtype=torch.bool),
    )
    for span in SPANS:
        closes[span[-1]], sums[span[-1]], in_span[span] = True, logprobs[span].sum(), True
    by_token = torch.where(in_span, alpha, 1.0).to(dtype)
    return Matching(ids[:, None], GROUPS, closes, sums, by_token, (1 - alpha) * tau, tau)


def dense(logits, ids, logprobs, alpha=0.25, tau=TAU):
    """The objective by hand, span by span."""
    own = logits.log_softmax(dim=-1).gather(1, ids[:, None])[:, 0]
    total = -own[[0, 5]].sum()
    for span in SPANS:
        a, b = logprobs[span].sum() / tau, own[span].sum() / tau
        match = -(a.exp() * b + (1 - a.exp()) * (1 - b.exp()).log())
        total = total - alpha * own[span].sum() + (1 - alpha) * tau * match
    return total


@pytest.fixture
def given():
    torch.manual_seed(0)
    head = torch.nn.Linear(H, V, dtype=torch.float64)
    ids = torch.randint(V, (N,))
    teacher = torch.randn(N, V, dtype=torch.float64).log_softmax(-1).gather(1, ids[:, None])[:, 0]
    return torch.randn(N, H, dtype=torch.float64, requires_grad=True), head, ids, teacher


@pytest.mark.parametrize("tau", [1.0, 7.0, 100.0])
@pytest.mark.parametrize("positions", [1, 2, 4, 100])
def test_loss_and_gradients_are_those_of_the_dense_objective(given, tau, positions):
    hidden, head, ids, teacher = given
    expected = torch.autograd.grad(dense(head(hidden), ids, teacher, tau=tau), [hidden, head.weight, head.bias])
    loss = head_loss(hidden, head, [matching(ids, teacher, tau=tau)], positions * V, GROUPS)
    made = torch.autograd.grad(loss, [hidden, head.weight, head.bias])
    assert loss.item() == pytest.approx(dense(head(hidden), ids, teacher, tau=tau).item(), rel=1e-10)
    assert all(torch.allclose(one, other, rtol=1e-9, atol=1e-12) for one, other in zip(made, expected, strict=True))


def test_gradcheck(given):
    hidden, head, ids, teacher = given
    term = matching(ids, teacher)
    assert torch.autograd.gradcheck(
        lambda logits: logits_loss(logits, [term], 2 * V, GROUPS), head(hidden).detach().requires_grad_()
    )


def test_no_chunk_of_the_kernel_holds_more_positions_than_asked_but_for_one_long_group(given, monkeypatch):
    hidden, head, ids, teacher = given
    term, seen = matching(ids, teacher), []
    plain = Matching.loss
    monkeypatch.setattr(
        Matching,
        "loss",
        lambda self, chunk, logs: (seen.append((chunk.start, chunk.stop)), plain(self, chunk, logs))[1],
    )
    head_loss(hidden, head, [term], 2 * V, GROUPS)
    assert seen == [(0, 2), (2, 5), (5, 7), (7, 9)]


def test_a_student_that_is_its_teacher_has_no_gradient(given):
    hidden, head, ids, _ = given
    own = head(hidden).log_softmax(-1).gather(1, ids[:, None])[:, 0].detach()
    term = matching(ids, own, alpha=0.0)
    term = Matching(term.ids, term.groups, term.closes, term.logprobs, term.by_token * 0, term.by_span, term.tau)
    (gradient,) = torch.autograd.grad(head_loss(hidden, head, [term], None, GROUPS), [hidden])
    (other,) = torch.autograd.grad(head_loss(hidden, head, [matching(ids, own - 1)], None, GROUPS), [hidden])
    assert gradient.norm() < 1e-12 < other.norm()


def test_at_tau_one_a_span_of_one_token_is_the_kl_of_two_outcomes_up_to_the_teachers_entropy():
    """The span is this token or not: the binary KL is the forward KL with k = 1 and a bucket."""
    p, q = torch.tensor([0.7, 0.2, 0.999], dtype=torch.float64), torch.tensor([0.4, 0.6, 0.9], dtype=torch.float64)
    kl = p * (p / q).log() + (1 - p) * ((1 - p) / (1 - q)).log()
    entropy = -(p * p.log() + (1 - p) * (1 - p).log())
    assert torch.allclose(binary_cross_entropy(p.log(), q.log()), kl + entropy)


def test_a_large_tau_keeps_the_size_of_the_gradient():
    """Times tau it tends to 1 - (sum log p) / (sum log q) of the span's log-probability."""
    for tau in (1e2, 1e3):
        own = torch.tensor([-3.0], dtype=torch.float64, requires_grad=True)
        loss = tau * binary_cross_entropy(torch.tensor([-1.2], dtype=torch.float64) / tau, own / tau).sum()
        (gradient,) = torch.autograd.grad(loss, [own])
        assert -gradient.item() == pytest.approx(1 - 1.2 / 3.0, rel=3 / tau)


def test_log1mexp_has_all_digits_near_zero_and_far_from_it():
    x = torch.tensor([-1e-30, -1e-8, -0.1, -0.7, -5.0, -50.0, -1000.0])
    exact = [-69.0775527898, -18.4206807490, -2.35216846, -0.686341002808, -6.76074946e-3, -1.92874985e-22, 0.0]
    assert log1mexp(x).tolist() == pytest.approx(exact, rel=1e-6, abs=1e-30)
    x.requires_grad_()
    assert torch.isfinite(torch.autograd.grad(log1mexp(x).sum(), [x])[0][1:]).all()


@pytest.mark.parametrize("gap", [10.0, 40.0, 100.0, 400.0])
@pytest.mark.parametrize("p", [0.0, -1e-6, -2.0, -65504.0])
def test_sides_that_are_sure_have_a_finite_loss_and_gradient(gap, p):
    """float32: the student gives its token all mass but exp(-gap)."""
    logits = torch.zeros(1, 8)
    logits[0, 3] = gap
    logits.requires_grad_()
    term = Matching(
        torch.tensor([[3]]), torch.tensor([0]), torch.tensor([True]), torch.tensor([p]), torch.zeros(1), TAU, TAU
    )
    loss = logits_loss(logits, [term], None, torch.tensor([0]))
    (gradient,) = torch.autograd.grad(loss, [logits])
    assert torch.isfinite(loss)
    assert torch.isfinite(gradient).all()


def test_the_log_probability_of_a_sure_token_keeps_its_digits():
    rest = torch.tensor([-30.0, -12.0, -0.1])
    seen = LogProbs(torch.log1p(-rest.exp())[:, None], rest, None, None)
    assert own_logprobs(seen)[0].item() == pytest.approx(-9.3576e-14, rel=1e-4)  # float32's 1 - 1e-13 is 1
    assert torch.allclose(own_logprobs(seen)[2:], seen.kept[2:, 0])
