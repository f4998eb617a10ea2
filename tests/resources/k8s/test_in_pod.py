"""The process of a pod: what it says of an attempt that it cannot run, and when it takes a step for dead."""

import signal
import sys
from importlib.metadata import version

import pytest

from distill_dagster.remote import in_pod
from distill_dagster.remote.attempt import Attempt, new_attempt, new_job
from distill_dagster.remote.node import PACKAGE
from distill_dagster.remote.order import Ended
from distill_dagster.resources.compute.k8s.ties import showing_life
from testing.waiting import wait_for


def arguments(attempt, step=None):
    return ["--attempt", str(attempt), "--step", step or version(PACKAGE), "--orphan-s", "60", "--grace-s", "1"]


def test_an_attempt_that_the_pod_does_not_see_has_a_status_of_its_own(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(in_pod, "SEEN_WITHIN_S", 0)
    assert in_pod.main(arguments(tmp_path / "1")) == in_pod.UNSEEN
    assert f"there is no {tmp_path}/1" in capsys.readouterr().err


def test_an_image_of_another_version_is_refused_with_both(tmp_path, capsys):
    assert in_pod.main(arguments(tmp_path / "1", "0.0.1")) == in_pod.OTHER_VERSION
    assert f"the image has {PACKAGE} {version(PACKAGE)}, and the step 0.0.1" in capsys.readouterr().err


def test_another_version_is_named_before_its_options_are_read(capsys):
    assert in_pod.main(["--steps", "7", "--step", "0.0.1", "--nice", "--ranks", "many"]) == in_pod.OTHER_VERSION
    assert "and the step 0.0.1" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        in_pod.main(["--step", version(PACKAGE), "--nice"])


def test_a_step_is_dead_when_it_shows_no_sign_of_life(tmp_path):
    with new_job(tmp_path) as job:
        attempt = new_attempt(job, 1)
        watch = in_pod.StepWatch(attempt.alive, 0.2)
        with showing_life(attempt, 0.5):
            wait_for(lambda: in_pod.changed_at(attempt.alive), "a sign of life")
            before = in_pod.changed_at(attempt.alive)
            assert not watch.is_dead
            wait_for(lambda: in_pod.changed_at(attempt.alive) > before, "the next one")
        wait_for(lambda: watch.is_dead, "the end of its patience")
        attempt.alive.touch()
        assert not watch.is_dead, "it lives after all"


def test_storage_that_does_not_answer_is_no_silence_of_the_step(tmp_path):
    with new_job(tmp_path) as job:
        attempt = new_attempt(job, 1)
        attempt.alive.symlink_to(attempt.alive)  # an OSError that is no FileNotFoundError
        watch = in_pod.StepWatch(attempt.alive, 0)
        assert [watch.is_dead for _ in range(3)] == [False] * 3
        attempt.alive.unlink()
        wait_for(lambda: watch.is_dead, "the end of its patience with a file that is gone")
    assert attempt.is_given_up, "the job is gone"
    assert not Attempt(tmp_path / ("n" * 300), 1).is_given_up, "a name that is too long cannot be looked up"


@pytest.mark.slow
def test_a_worker_that_is_ended_for_a_dead_step_is_lost_and_not_failed(tmp_path, monkeypatch):
    program = tmp_path / "python"  # in place of a worker, which would need a session of Dagster
    program.write_text("#!/bin/sh\nexec sleep 600\n")
    program.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(program))
    before = signal.getsignal(signal.SIGTERM)
    try:
        with new_job(tmp_path) as job:
            attempt = new_attempt(job, 1)
            attempt.context.touch()  # nobody touches the file of the step
            ended = in_pod.run_attempt(attempt, ranks=1, orphan_s=0.1, grace_s=60)
    finally:
        signal.signal(signal.SIGTERM, before)
    assert ended == Ended(-signal.SIGTERM, 0)
    assert ended.was_killed


def test_how_a_worker_ended_is_a_file(tmp_path):
    with new_job(tmp_path) as job:
        attempt = new_attempt(job, 1)
        assert in_pod.read_ended(attempt) is None
        in_pod.write_ended(attempt, Ended(-9, 120))
        assert in_pod.read_ended(attempt) == Ended(-9, 120)
    in_pod.write_ended(Attempt(attempt.folder, 1), Ended(0, 0))  # the step has gone
    assert not attempt.folder.exists()
