"""The conformance table: which losses have the gradient of the whole distribution, and how peers are loaded."""

import subprocess
import sys
from types import SimpleNamespace

import pytest
import torch

from benchmarks import _peers
from benchmarks.conformance import OURS, Batch, Row, compared, dense_loss, gradient, ours

pytestmark = pytest.mark.xdist_group("trl")

POSITIONS, VOCABULARY = 16, 6_000


@pytest.fixture(scope="module")
def batches():
    return [Batch.drawn(student, POSITIONS, VOCABULARY) for student in ("early", "late")]


def figures(row: Row, batches) -> list[float]:
    """Cosine and norm ratio: early, late, late at T = 2."""
    return list(compared("name", row, *batches).values())


def test_the_dense_loss_is_its_own_measure(batches):
    assert figures(Row(dense_loss), batches) == pytest.approx([1.0] * 6, abs=1e-9)


def test_ours_over_the_whole_vocabulary_is_dense_and_the_bucket_is_near(batches):
    assert figures(Row(ours("bucket", VOCABULARY)), batches) == pytest.approx([1.0] * 6, abs=2e-3)
    bucket = figures(OURS["ours_bucket"], batches)
    assert bucket[:4] == pytest.approx([1.0] * 4, abs=2e-3)
    assert all(0.9 < value < 1.05 for value in bucket[4:])


def test_a_sampled_tail_has_no_temperature_and_points_there_too(batches):
    sampled = figures(OURS["ours_sampled"], batches)
    assert len(sampled) == 4
    assert all(0.9 < value < 1.1 for value in sampled)


def test_over_ten_thousand_draws_the_sampled_gradient_is_that_of_the_whole_distribution():
    """Each of 10^4 equal positions draws its own tail; the mean of their gradients is q - p."""
    draws, vocabulary = 10_000, 150
    random = torch.Generator().manual_seed(2)
    teacher, student = (1.5 * torch.randn(1, vocabulary, generator=random) for _ in range(2))
    batch = Batch(teacher.repeat(draws, 1), student.repeat(draws, 1), k=8)
    found = draws * gradient(ours("sampled"), batch, 1)
    expected = (student.double().softmax(-1) - teacher.double().softmax(-1))[0]
    tail = torch.ones(vocabulary, dtype=torch.bool)
    tail[teacher[0].topk(8).indices] = False
    error = found.std(dim=0) / draws**0.5
    assert (error[tail] > 0).all()  # every token of the tail was drawn at some position, and not at all of them
    assert ((found.mean(dim=0) - expected).abs() < 5 * error + 1e-4).all()  # 1e-4: what is stored is fp16
    assert expected[tail].abs().max() > 1e-3


def test_trl_leaves_out_t_squared_and_renormalising_both_sides_turns_the_gradient(batches):
    rows = _peers.trl_rows()
    assert figures(rows["trl"], batches) == pytest.approx([1.0] * 5 + [0.25], abs=1e-3)
    assert figures(rows["trl_k64"], batches)[0] < 0.8
    assert figures(rows["trl_k64_tail"], batches)[0] > 0.999


def test_distillkits_formula_is_the_bucket_at_temperature_one(batches):
    rows = _peers.distillkit_rows()
    assert figures(rows["distillkit_k64_uniform"], batches)[:4] == pytest.approx([1.0] * 4, abs=1e-3)
    assert figures(rows["distillkit_k64_uniform"], batches)[4] < 0.95  # k tokens do not hold what T = 2 needs
    assert figures(rows["distillkit_k64"], batches)[2] < 0.998


def test_a_wheel_that_cannot_be_had_is_left_out_with_its_reason(monkeypatch, tmp_path):
    def refuse(command, **_):
        raise subprocess.CalledProcessError(1, command)

    monkeypatch.setattr(subprocess, "run", refuse)
    rows, missing = _peers.peers(tmp_path)
    assert {"trl", "distillkit_k64"} <= set(rows)
    assert sorted(missing) == sorted(f"{name} {version}" for name, version in _peers.WHEELS.items())
    assert all(why.startswith("CalledProcessError") for why in missing.values())


def test_a_file_runs_with_the_modules_that_it_is_given_and_leaves_none_behind(tmp_path):
    (tmp_path / "lib").mkdir()
    (tmp_path / "lib/losses.py").write_text(
        "from lib.parallel.ranks import count\n\ndef twice():\n    return 2 * count\n"
    )
    module = _peers.executed(tmp_path, "lib/losses.py", lib__parallel__ranks=SimpleNamespace(count=3))
    assert module.twice() == 6
    assert not [name for name in sys.modules if name == "lib" or name.startswith("lib.")]
