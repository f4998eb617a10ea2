"""Tokens a second of the steps alone, and MFU where the card's peak is known and all weights train."""

import pytest

from distill_dagster.training import speed
from distill_dagster.training.speed import StepSpeed, in_words, mfu


@pytest.mark.parametrize(
    ("card", "peak"),
    [
        ("NVIDIA H100 80GB HBM3", 989e12),
        ("NVIDIA H200", 989e12),
        ("NVIDIA A100-SXM4-80GB", 312e12),
        ("NVIDIA A100-PCIE-40GB", 312e12),
        ("NVIDIA H100 PCIe", None),
        ("NVIDIA H200 NVL", None),
        ("NVIDIA H100 80GB HBM3 MIG 1g.10gb", None),
        ("NVIDIA GH200 480GB", None),
        ("NVIDIA L4", None),
        ("", None),
    ],
)
def test_mfu_only_of_cards_whose_peak_is_known(card, peak):
    assert mfu(10**9, 1e4, card) == (6e13 / peak if peak else None)


def test_the_peak_is_that_of_all_cards():
    assert mfu(10**9, 1e4, "NVIDIA H200", cards=2) == mfu(10**9, 1e4, "NVIDIA H200") / 2


@pytest.fixture
def clock(monkeypatch):
    """A clock that the test sets."""
    now = [0.0]
    monkeypatch.setattr(speed.time, "perf_counter", lambda: now[0])
    return now


def test_the_time_between_a_log_and_the_next_step_does_not_count(clock):
    measured = StepSpeed(None, "", 1)
    for began, tokens in ((0.0, 100), (1.0, 300)):
        clock[0] = began
        measured.begin()
        measured.add(tokens)
    clock[0] = 2.0
    assert measured.taken() == {"tokens_per_second": 200.0}
    clock[0] = 10.0  # validation and checkpoint
    measured.begin()
    measured.add(50)
    clock[0] = 10.5
    assert measured.taken() == {"tokens_per_second": 100.0}
    assert measured.taken() == {}


def test_mfu_is_logged_for_a_known_card_and_not_for_adapters(clock):
    for parameters, expected in ((10**9, 6e9 * 100 / 989e12), (None, None)):
        measured = StepSpeed(parameters, "NVIDIA H200", 1)
        clock[0] = 0.0
        measured.begin()
        measured.add(100)
        clock[0] = 1.0
        assert measured.taken().get("mfu") == expected


def test_a_line_has_what_was_logged_with_a_loss():
    logs = {"loss": 1.0, "grad_norm": 2.345, "tokens_per_second": 10412.3, "mfu": 0.2451}
    assert in_words(logs) == ", gradient norm 2.35, 10,412 tokens/s, MFU 24.5%"
    assert in_words({"loss": 1.0}) == ""
    assert in_words({"eval_loss": 1.0}) == ""
