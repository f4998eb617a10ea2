"""Progress reaches every listener, with the time that is left; what an earlier run did does not count as speed."""

import pytest

from distill_dagster import progress
from distill_dagster.progress import listen, log_listener, time_text, track


@pytest.fixture
def clock(monkeypatch):
    """A clock that the test moves: clock[0] is its time in seconds."""
    now = [1000.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    return now


def test_a_line_has_the_note_and_the_time_left(clock):
    lines = []
    with listen(log_listener(lines.append)), track("train student", total=220) as advance:
        clock[0] += 26
        advance(52, lambda: "loss 0.513, learning rate 3.60e-04")
        clock[0] += 5
        advance(1)
        clock[0] += 84
        advance(167)
    assert lines == [
        "train student: 52 of 220, loss 0.513, learning rate 3.60e-04, 1 min 24 s left",
        "train student: 220 of 220, loss 0.513, learning rate 3.60e-04, 0 s left",
        "train student: 220 of 220, loss 0.513, learning rate 3.60e-04, took 1 min 55 s",
    ]


def test_steps_of_an_earlier_run_are_no_speed(clock):
    heard = []
    with listen(heard.append), track("train student", total=200, done=100) as advance:
        clock[0] += 10
        advance(10)
    assert (heard[0].done, heard[0].left_s) == (110, 90)


def test_the_note_is_read_only_for_a_line_that_is_written(clock):
    read, lines = [], []
    with listen(log_listener(lines.append)), track("work", total=100) as advance:
        for _ in range(100):
            clock[0] += 1
            advance(1, lambda: read.append(1) or "loss 1")
    assert len(read) == len(lines) == 11


def test_an_inner_listener_does_not_silence_the_outer_one(clock):
    outer, inner = [], []
    with listen(outer.append):
        with listen(inner.append), track("work", total=1) as advance:
            advance(1)
        with track("more", total=1) as advance:
            advance(1)
    assert [each.label for each in outer] == ["work", "work", "more", "more"]
    assert [each.label for each in inner] == ["work", "work"]


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.2, "0 s"), (59.6, "1 min 0 s"), (80, "1 min 20 s"), (7500, "2 h 5 min")]
)
def test_times(seconds, text):
    assert time_text(seconds) == text
