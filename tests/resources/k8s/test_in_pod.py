"""The process of a pod: what it says of an attempt that it cannot run, and when it takes a step for dead."""

from importlib.metadata import version

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


def test_how_a_worker_ended_is_a_file(tmp_path):
    with new_job(tmp_path) as job:
        attempt = new_attempt(job, 1)
        assert in_pod.read_ended(attempt) is None
        in_pod.write_ended(attempt, Ended(-9, 120))
        assert in_pod.read_ended(attempt) == Ended(-9, 120)
    in_pod.write_ended(Attempt(attempt.folder, 1), Ended(0, 0))  # the step has gone
    assert not attempt.folder.exists()
