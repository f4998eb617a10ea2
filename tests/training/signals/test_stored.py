"""Tokens that the student lacks: their mass goes to the others, at every temperature."""

import numpy as np
import pytest
import torch

from distill_dagster.logits.distributions import LOWEST, NO_DRAW
from distill_dagster.logits.table import LogitsRow
from distill_dagster.training.signals.divergence import divergence_of
from distill_dagster.training.signals.kernel import logits_loss
from distill_dagster.training.signals.logits import Distillation, at_temperature
from distill_dagster.training.signals.stored import without_others


def test_the_mass_of_tokens_that_the_student_lacks_goes_to_the_others():
    logprobs, tail = np.log([[0.5, 0.2, 0.1], [0.6, 0.3, 0.05]]), np.log([0.2, 0.05])
    ids = np.array([[7, 11, 2], [1, 4, 6]])
    common = {"row_id": "a", "sample": 0, "turn": 0, "token_ids": np.array([7, 1]), "tail_logsums": None}
    own = {"vocab_size": 12, "temperature": 1.0, "tokenizer_hash": "", "teacher_revision": ""}
    row = LogitsRow(ids=ids, logprobs=logprobs, tail_logmass=tail, draws=np.array([[9, 3]] * 2), **common, **own)
    made = without_others(row, 8)
    assert made.ids[0].tolist()[::2] == [7, 2]
    assert made.ids[0, 1] < 8
    assert len(set(made.ids[0])) == 3
    # 0.3 of the first goes: 0.2 of token 11, and with the draw of token 9 half of the tail's 0.2
    assert np.exp(made.logprobs[0]) == pytest.approx([0.5 / 0.7, 0, 0.1 / 0.7])
    assert np.exp(made.logprobs[1]) == pytest.approx([0.6 / 0.975, 0.3 / 0.975, 0.05 / 0.975])
    assert np.exp(made.tail_logmass) == pytest.approx([0.1 / 0.7, 0.025 / 0.975])
    assert made.draws.tolist() == [[NO_DRAW, 3]] * 2


@pytest.mark.parametrize("temperature", [1, 2, 4])
def test_masked_tokens_are_gone_at_every_temperature(temperature):
    """Of 40 tokens the student has 34, and two of the other six have most of the teacher's mass."""
    logits = 2 * np.random.default_rng(0).standard_normal((5, 40))
    logits[:, 34:] -= 100  # tokens of the tail that the student lacks have no mass
    logits[:3, 34] = logits[:3].max(axis=1) + np.array([1, 4, 30])  # all but 1e-13 of it in the third position
    logits[1, 39] = 4
    row = stored_row(logits, k=12)
    logprobs, tail = at_temperature(without_others(row, 34), temperature)
    scaled = logits[:, :34] / temperature
    dense = scaled - np.logaddexp.reduce(scaled, axis=1, keepdims=True)
    kept = without_others(row, 34).ids
    is_masked = row.ids >= 34
    assert np.array_equal(np.where(is_masked, 0, kept), np.where(is_masked, 0, row.ids))
    expected = np.take_along_axis(dense, kept, axis=1)
    assert np.exp(logprobs)[~is_masked] == pytest.approx(np.exp(expected)[~is_masked], rel=1e-6)
    assert np.exp(logprobs)[is_masked].max() == 0
    rest = np.exp(dense).sum(axis=1) - np.where(is_masked, 0, np.exp(expected)).sum(axis=1)
    assert np.exp(tail) == pytest.approx(rest, rel=1e-6)


@pytest.mark.parametrize("k", [12, 34])
@pytest.mark.parametrize("temperature", [1, 2, 4])
@pytest.mark.parametrize("divergence", ["forward_kl", "reverse_kl", "skew_kl", "jsd"])
def test_a_filler_belongs_to_the_tail(divergence, temperature, k):
    """The loss is that of the shared tokens among the k and of all others together, in float64 and by hand."""
    random = np.random.default_rng(1)
    logits, student = random.standard_normal((6, 40)), torch.tensor(random.standard_normal((6, 34)))
    logits[:, 34:] = -1e6
    logits[:3, 34:36] = [[2.0, 1.0]]  # two tokens among the k that the student lacks
    row = without_others(stored_row(logits, k), 34)
    logprobs, tail = at_temperature(row, temperature)
    term = Distillation(
        ids=torch.tensor(row.ids.astype(np.int64)),
        p=torch.tensor(np.concatenate([logprobs, tail[:, None]], axis=1)),
        by_divergence=torch.ones(6, dtype=torch.float64),
        divergence=divergence_of(divergence, skew=0.1, beta=0.5),
        temperature=float(temperature),
        has_fillers=True,
    )
    found, expected = student.clone().requires_grad_(), student.clone().requires_grad_()
    loss, total = logits_loss(found, [term]), torch.zeros(())
    for i in range(6):
        kept = [t for t, logprob in zip(row.ids[i], row.logprobs[i], strict=True) if logprob > LOWEST]
        rest = [t for t in range(34) if t not in kept]
        sides = [
            (torch.tensor(logits[i, :34]) / temperature).log_softmax(-1),
            (expected[i] / temperature).log_softmax(-1),
        ]
        merged = [torch.cat([q[kept], q[rest].logsumexp(0)[None]]) if rest else q[kept] for q in sides]
        total = total + term.divergence(merged[0][None], merged[1][None]).sum()
    total.backward()
    loss.backward()
    assert loss.item() == pytest.approx(total.item(), rel=1e-6)
    assert torch.allclose(found.grad, expected.grad, atol=1e-9)


def stored_row(logits, k):
    """What a capture would keep of these logits (T, V), in float64."""
    logs = logits - np.logaddexp.reduce(logits, axis=1, keepdims=True)
    ids = np.argsort(-logs, axis=1)[:, :k]
    others = logs.copy()
    np.put_along_axis(others, ids, -np.inf, axis=1)
    sums = np.stack([np.logaddexp.reduce(others / t, axis=1) for t in (2, 4)], axis=1)
    return LogitsRow(
        **{"row_id": "a", "sample": 0, "turn": 0, "token_ids": ids[:, -1], "ids": ids},
        logprobs=np.take_along_axis(logs, ids, axis=1),
        tail_logmass=np.logaddexp.reduce(others, axis=1),
        tail_logsums=sums,
        **{"draws": None, "vocab_size": logits.shape[1], "temperature": 1.0},
        **{"tokenizer_hash": "", "teacher_revision": ""},
    )
