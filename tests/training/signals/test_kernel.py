"""The chunked kernel against the same loss over dense logits, in float64 and by autograd."""

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from distill_dagster.training.signals.divergence import divergence_of
from distill_dagster.training.signals.kernel import head_loss, logits_loss

N, H, V, K = 7, 5, 23, 4
DIVERGENCES = ("forward_kl", "reverse_kl", "skew_kl", "jsd")


class Stored:
    """A divergence from a teacher whose logits are all known; K of them and the tail are used."""

    needs_mean, drawn = False, None

    def __init__(self, teacher, name, k=K, temperature=1.0, vocab_size=None):
        self.temperature, self.vocab_size = temperature, vocab_size
        masked = teacher if vocab_size is None else teacher[:, :vocab_size]
        logs = (masked / temperature).log_softmax(dim=-1)
        self.ids = logs.topk(k).indices
        self.p = coarse(logs, self.ids)
        self.divergence = divergence_of(name, skew=0.1, beta=0.3)
        self.weights = torch.linspace(0.5, 1.5, len(teacher), dtype=teacher.dtype)

    def loss(self, chunk, seen):
        q = torch.cat([seen.kept, seen.rest[:, None]], dim=-1)
        return self.weights[chunk] * self.divergence(self.p[chunk], q)

    def dense(self, logits):
        masked = logits if self.vocab_size is None else logits[:, : self.vocab_size]
        logs = (masked / self.temperature).log_softmax(dim=-1)
        return (self.weights * self.divergence(self.p, coarse(logs, self.ids))).sum()


class Smoothed:
    """Cross-entropy on one token and the mean over all."""

    temperature, vocab_size, drawn, needs_mean = 1.0, None, None, True

    def __init__(self, tokens, smoothing):
        self.ids, self.smoothing = tokens[:, None], smoothing

    def loss(self, chunk, seen):
        return -(1 - self.smoothing) * seen.kept[:, 0] - self.smoothing * seen.mean

    def dense(self, logits):
        return torch.nn.functional.cross_entropy(
            logits, self.ids[:, 0], label_smoothing=self.smoothing, reduction="sum"
        )


class Sampled:
    """The forward KL where the tail is a few tokens, drawn perhaps more than once."""

    temperature, vocab_size, needs_mean = 1.0, None, False

    def __init__(self, teacher):
        logs = teacher.log_softmax(dim=-1)
        self.ids, self.mass = logs.topk(K).indices, logs.topk(K).values.exp()
        outside = logs.exp().scatter(1, self.ids, 0.0)
        self.drawn = torch.multinomial(outside, 6, replacement=True, generator=torch.Generator().manual_seed(0))
        self.each = outside.sum(dim=-1, keepdim=True).expand(-1, 6) / 6

    def loss(self, chunk, seen):
        return -(self.mass[chunk] * seen.kept).sum(dim=-1) - (self.each[chunk] * seen.drawn).sum(dim=-1)

    def dense(self, logits):
        target = torch.zeros_like(logits).scatter(1, self.ids, self.mass).scatter_add(1, self.drawn, self.each)
        return -(target * logits.log_softmax(dim=-1)).sum()


def coarse(logs, ids):
    """Log-probabilities of the chosen tokens, and by a sum over the others that of the tail."""
    others = logs.scatter(1, ids, float("-inf")).logsumexp(dim=-1, keepdim=True)
    return torch.cat([logs.gather(1, ids), others.clamp(min=-65504.0)], dim=-1)


@pytest.fixture
def parts():
    random = torch.Generator().manual_seed(0)

    def normal(*shape):
        return torch.randn(*shape, generator=random, dtype=torch.float64)

    head = torch.nn.Linear(H, V, dtype=torch.float64)
    with torch.no_grad():
        head.weight.copy_(normal(V, H)), head.bias.copy_(normal(V))
    return normal(N, H).requires_grad_(), head, 3 * normal(N, V), torch.arange(N) % V


def gradients(loss, *inputs):
    return torch.autograd.grad(loss, inputs)


def terms_of(kind, teacher, tokens):
    if kind == "smoothed":
        return [Smoothed(tokens, 0.1)]
    if kind == "sampled":
        return [Sampled(teacher)]
    if kind == "several":
        return [Smoothed(tokens, 0.0), Stored(teacher, "jsd", temperature=2.0), Stored(teacher, "reverse_kl")]
    name, _, change = kind.partition("-")
    changes = {"": {}, "hot": {"temperature": 4.0}, "all": {"k": V}, "padded": {"vocab_size": 19}}
    return [Stored(teacher, name, **changes[change])]


KINDS = [*DIVERGENCES, *(f"{name}-{change}" for name in DIVERGENCES for change in ("hot", "all", "padded"))]


@pytest.mark.parametrize("elements", [1, 3 * V, 10**6], ids=["one by one", "three", "all at once"])
@pytest.mark.parametrize("kind", [*KINDS, "smoothed", "sampled", "several"])
def test_loss_and_gradients_are_those_of_dense_logits(parts, kind, elements):
    hidden, head, teacher, tokens = parts
    terms, inputs = terms_of(kind, teacher, tokens), (hidden, head.weight, head.bias)
    loss, expected = head_loss(hidden, head, terms, elements), sum(term.dense(head(hidden)) for term in terms)
    assert loss.item() == pytest.approx(expected.item(), rel=1e-12)
    for ours, theirs in zip(gradients(2 * loss, *inputs), gradients(2 * expected, *inputs), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("kind", [*DIVERGENCES, "several"])
def test_given_logits_have_the_same_gradient(parts, kind):
    hidden, head, teacher, tokens = parts
    logits, terms = head(hidden).detach().requires_grad_(), terms_of(kind, teacher, tokens)
    (ours,) = gradients(logits_loss(logits, terms, 2 * V), logits)
    (theirs,) = gradients(sum(term.dense(logits) for term in terms), logits)
    torch.testing.assert_close(ours, theirs, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("name", DIVERGENCES)
def test_gradcheck(parts, name):
    hidden, head, teacher, _ = parts
    terms = [Stored(teacher, name, temperature=2.0)]
    assert torch.autograd.gradcheck(lambda x, w: head_loss(x, _Head(w), terms, 2 * V), (hidden, head.weight))


class _Head(torch.nn.Module):
    def __init__(self, weight):
        super().__init__()
        self.__dict__["weight"], self.bias = weight, None


@pytest.mark.parametrize("name", DIVERGENCES)
@pytest.mark.parametrize("temperature", [1.0, 4.0])
@pytest.mark.parametrize("k", [K, V])
def test_a_student_equal_to_its_teacher_has_no_loss_and_no_gradient(parts, name, temperature, k):
    hidden, head, *_ = parts
    terms = [Stored(head(hidden).detach(), name, k, temperature)]
    loss = head_loss(hidden, head, terms)
    assert loss.item() == pytest.approx(0, abs=1e-12)
    for gradient in gradients(loss, hidden, head.weight, head.bias):
        assert gradient.abs().max() < 1e-12


@pytest.mark.parametrize("name", DIVERGENCES)
def test_merging_the_tail_never_adds_to_a_divergence(parts, name):
    hidden, head, teacher, _ = parts
    losses = [head_loss(hidden, head, [Stored(teacher, name, k)]).item() for k in (1, 2, 8, V)]
    assert losses == sorted(losses)


def test_the_tail_of_a_sure_student_keeps_its_digits():
    """In float32 the tail's mass is 1e-60: as 1 minus the rest it would be 0, and its logarithm infinite."""
    logits = torch.zeros(1, 5)
    logits[0, 0] = 138.0
    teacher = torch.tensor([[9.0, 0.0, 0.0, 0.0, 0.0]])
    loss = logits_loss(logits.requires_grad_(), [Stored(teacher, "forward_kl", k=1)])
    (ours,) = gradients(loss, logits)
    wide = logits.detach().double().requires_grad_()
    expected = Stored(teacher.double(), "forward_kl", k=1).dense(wide)
    torch.testing.assert_close(loss.double(), expected, rtol=1e-5, atol=0)
    torch.testing.assert_close(ours.double(), gradients(expected, wide)[0], rtol=1e-4, atol=1e-9)


def test_the_gradient_of_a_frozen_head_is_not_computed(parts, monkeypatch):
    hidden, head, teacher, _ = parts
    head.requires_grad_(False)
    monkeypatch.setattr("distill_dagster.training.signals.kernel._add_product", None)
    head_loss(hidden, head, [Stored(teacher, "forward_kl")]).backward()
    assert hidden.grad is not None
    assert head.weight.grad is None


def test_no_tensor_of_all_logits_exists(parts):
    """Of a thousand positions only a chunk's logits are alive at a time, in the forward and in the backward pass."""
    shapes = set()

    class LogProbs(torch.utils._python_dispatch.TorchDispatchMode):
        def __torch_dispatch__(self, func, types, args=(), kwargs=None):
            made = func(*args, **(kwargs or {}))
            shapes.add(tuple(made.shape) if isinstance(made, torch.Tensor) else None)
            return made

    hidden, head = torch.randn(1000, H, requires_grad=True), torch.nn.Linear(H, V)
    terms = [Stored(torch.randn(1000, V), "forward_kl")]
    with LogProbs():
        head_loss(hidden, head, terms, 10 * V).backward()
    assert (10, V) in shapes
    assert (1000, V) not in shapes


class Products(TorchDispatchMode):
    """Notes the precision of each matrix product."""

    def __init__(self):
        super().__init__()
        self.precisions = set()

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        if func.overloadpacket in (torch.ops.aten.mm, torch.ops.aten.addmm, torch.ops.aten.addmm_):
            self.precisions.add(args[-1].dtype)
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize("bias", [False, True])
def test_under_autocast_no_product_is_in_float32(bias):
    torch.manual_seed(0)
    hidden, head = torch.randn(N, 32, requires_grad=True), torch.nn.Linear(32, V, bias=bias)
    term = Smoothed(torch.randint(0, V, (N,)), 0.1)
    head_loss(hidden, head, [term]).backward()
    exact = [hidden.grad.clone(), *(parameter.grad.clone() for parameter in head.parameters())]
    hidden.grad = None
    head.zero_grad()
    with torch.autocast("cpu", torch.bfloat16), Products() as products:
        loss = head_loss(hidden, head, [term])
    loss.backward()
    assert products.precisions == {torch.bfloat16}
    for near, far in zip([hidden.grad, *(parameter.grad for parameter in head.parameters())], exact, strict=True):
        assert near.dtype == torch.float32
        assert (near - far).norm() < 0.02 * far.norm()


def test_the_gradient_of_a_bfloat16_head_does_not_depend_on_the_number_of_chunks():
    """Sums of chunks that are rounded to bfloat16 each time are off by 1 % after 64 chunks."""
    torch.manual_seed(0)
    count, size = 4096, 256
    hidden, tokens = torch.randn(count, 32, dtype=torch.bfloat16), torch.randint(0, size, (count,))
    head = torch.nn.Linear(32, size, dtype=torch.bfloat16)
    exact = torch.nn.Linear(32, size, dtype=torch.float64)
    exact.load_state_dict(head.state_dict())
    torch.nn.functional.cross_entropy(exact(hidden.double()), tokens, reduction="sum").backward()
    head_loss(hidden, head, [Smoothed(tokens, 0.0)], chunk_elements=size * count // 64).backward()
    for near, far in zip(head.parameters(), exact.parameters(), strict=True):
        assert near.grad.dtype == torch.bfloat16
        assert (near.grad.double() - far.grad).norm() < 0.004 * far.grad.norm()
