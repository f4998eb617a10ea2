"""What a process gives a collector at its end: one second, whatever hangs."""

import threading
import time

from distill_dagster.telemetry import in_time


def test_a_step_that_hangs_costs_the_time_once_and_later_calls_wait_for_the_others_alone():
    never, done, calls = threading.Event(), [], threading.Semaphore(0)

    def hangs() -> None:
        calls.release()
        never.wait()

    run = in_time.in_time(hangs, lambda: done.append(1))
    began = time.monotonic()
    run()
    first = time.monotonic() - began
    assert in_time.EXIT_S == 1.0
    assert in_time.EXIT_S <= first < 60, "it returns, though the step never does"
    for _ in range(3):
        run()
    assert calls.acquire(timeout=0)
    assert not calls.acquire(timeout=0), "the step that hangs is not begun again"
    assert done == [1] * 4
    never.set()


def test_a_call_waits_for_its_own_steps_after_one_that_was_late(monkeypatch):
    wait, done = threading.Event(), []

    def step() -> None:
        wait.wait()
        done.append("done")

    run = in_time.in_time(step)
    monkeypatch.setattr(in_time, "EXIT_S", 0.0)
    run()
    assert done == []
    wait.set()
    monkeypatch.setattr(in_time, "EXIT_S", 600.0)
    for n in range(2, 6):
        while len(done) < n:  # until the thread has said that the late one is over, a call begins nothing
            run()
        assert done == ["done"] * n


def test_a_step_that_fails_fails_nothing():
    def fails() -> None:
        raise ValueError("no collector")

    in_time.in_time(fails)()
