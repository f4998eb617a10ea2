"""A training that is asked to end writes a checkpoint first, and goes on from there to the same weights."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from distill_dagster.training.stopping import Stopped, deferred
from distill_dagster.training.student import train_student
from testing.models_tiny import without_speed
from testing.waiting import PATIENCE

ROOT = Path(__file__).parents[2]
# Behind step 9 the child waits until the signal is sent; checkpoints that nobody asked for follow steps 6 and 12.
CHILD = """
import signal, sys
from pathlib import Path
from distill_dagster.progress import listen
from distill_dagster.training.specs import TrainSpec
from distill_dagster.training.student import train_student

spec = TrainSpec.model_validate_json(sys.argv[1])

signal.signal(signal.SIGTERM, signal.SIG_DFL)  # the process that starts this one may ignore them
signal.signal(signal.SIGINT, signal.default_int_handler)

def listener(progress):
    if progress.done == 9 and not progress.ended:
        print("step 9", flush=True)
        sys.stdin.readline()  # `signal.pause` would miss a signal that comes before it

with listen(listener):
    train_student(spec, "cpu")
print("ended")
"""


@pytest.mark.processes
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_is_followed_by_a_checkpoint_and_then_by_the_end(spec_of, tmp_path, number):
    whole = train_student(spec_of("whole", work=str(tmp_path / "whole-work")), "cpu")
    spec = spec_of("stopped")
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", CHILD, spec.model_dump_json()]
    pipes = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
    with subprocess.Popen(command, env=env, text=True, **pipes) as child:
        assert child.stdout.readline() == "step 9\n"
        child.send_signal(number)
        rest, errors = child.communicate("the signal is sent\n", timeout=PATIENCE)
    assert child.returncode == (-number if number == signal.SIGTERM else 1), errors  # 1: a KeyboardInterrupt
    assert rest == ""
    assert "the checkpoint of step 9 is written" in errors
    assert not list(Path(spec.out).iterdir())
    resumed = train_student(spec, "cpu")
    assert resumed.resumed_from_step == 9
    assert resumed.data_version == whole.data_version
    assert without_speed(resumed.history) == without_speed(whole.history)


class Interrupted(BaseException):
    """What the handler of an orchestrator raises."""


@pytest.fixture
def orchestrated():
    """SIGTERM is handled as an orchestrator does: by an exception, wherever the main thread is."""

    def interrupt(number, frame):
        raise Interrupted

    before = signal.signal(signal.SIGTERM, interrupt)
    yield interrupt
    signal.signal(signal.SIGTERM, before)


def test_the_first_signal_waits_for_the_end_of_the_block_and_the_second_does_not(orchestrated):
    reached: list[int] = []

    def train(signals: int) -> None:
        with deferred():
            for i in range(signals):
                signal.raise_signal(signal.SIGTERM)
                reached.append(i)

    for signals in (1, 2):
        with pytest.raises(Interrupted):
            train(signals)
    assert reached == [0, 0]
    assert signal.getsignal(signal.SIGTERM) is orchestrated


def test_a_rank_that_stops_for_another_one_ends_too(orchestrated):
    with pytest.raises(Interrupted), deferred():
        raise Stopped


def test_an_error_is_not_hidden_by_a_signal_that_waits(orchestrated):
    def train() -> None:
        with deferred():
            signal.raise_signal(signal.SIGTERM)
            raise ValueError("the loss is nan")

    with pytest.raises(ValueError, match="the loss is nan"):
        train()


def test_a_signal_whose_handler_goes_on_still_ends_the_training():
    before = signal.signal(signal.SIGTERM, signal.SIG_IGN)
    try:
        with pytest.raises(KeyboardInterrupt), deferred():
            signal.raise_signal(signal.SIGTERM)
    finally:
        signal.signal(signal.SIGTERM, before)
