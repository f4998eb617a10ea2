"""The files of attempts on another machine, what counts as progress, and what is tried again, without a cluster."""

import os
import time
from pathlib import Path

import dagster as dg
import pytest

from distill_dagster.errors import ComputeError, ModelError
from distill_dagster.process import ATTEMPT
from distill_dagster.remote.attempt import ABANDONED_S, JOBS, Where, new_attempt, new_job
from distill_dagster.remote.order import Ended
from distill_dagster.resources.compute import sessions
from distill_dagster.resources.compute.sessions import Lost, ProgressWatch, persist, result_from
from distill_dagster.sources.specs import ReadSpec
from distill_dagster.store.result import Counts, Result
from distill_dagster.teachers.responses import Responses
from distill_dagster.tuning.specs import TrialSpec

HERE = Where("node", "host", ("3",))


def spec_in(folder: Path) -> ReadSpec:
    """A spec that writes into `out`."""
    return ReadSpec.model_construct(out=str(folder / "out"))


def persisted(folder: Path, run, retries: int = 2) -> Result:
    """The result of `run` in a context of Dagster."""
    return persist(dg.build_asset_context(), "read_rows", spec_in(folder), folder / "store", retries, run)


def test_only_the_attempt_that_ends_well_is_published(tmp_path):
    seen = []

    def run(attempt):
        seen.append(attempt.number)
        (attempt.out / f"of-{attempt.number}").write_text("rows")
        attempt.start(HERE)
        if attempt.number < 3:
            raise Lost("its node died")
        return Result(data_version="v", counts=Counts())

    result = persisted(tmp_path, run)
    assert seen == [1, 2, 3]
    assert result.leased == ["host/3"]
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["of-3"]
    assert not list((tmp_path / "store" / JOBS).iterdir())


def test_retries_are_bounded_and_the_last_reason_is_said(tmp_path):
    def run(attempt):
        raise Lost("its node died")

    with pytest.raises(ComputeError, match=r"attempt 2 of read_rows is lost: its node died; 1 retries are used up"):
        persisted(tmp_path, run, retries=1)
    assert not list((tmp_path / "store" / JOBS).iterdir())


def test_an_error_of_the_user_is_not_tried_again(tmp_path):
    seen = []

    def run(attempt):
        seen.append(attempt.number)
        raise ModelError("no such model")

    with pytest.raises(ModelError):
        persisted(tmp_path, run)
    assert seen == [1]


@pytest.mark.parametrize(
    ("code", "messages", "error"),
    [
        (-9, [], Lost),
        (-15, [], Lost),
        (1, [], ComputeError),
        (0, [{"error": "ModelError", "message": "x"}], ModelError),
    ],
)
def test_a_killed_worker_is_lost_and_one_that_fails_is_not(code, messages, error):
    with pytest.raises(error):
        result_from("read_rows", Ended(code, 0), messages)


def test_files_that_a_killed_step_left_are_removed_after_a_day(tmp_path):
    old, young = (tmp_path / JOBS / name for name in ("old", "young"))
    for folder in (old, young):
        folder.mkdir(parents=True)
    then = time.time() - ABANDONED_S - 60
    os.utime(old, (then, then))
    with new_job(tmp_path):
        assert not old.exists()
        assert young.exists()


def test_messages_and_growing_files_are_progress_and_their_lack_is_noticed(tmp_path, monkeypatch):
    clock = iter(range(0, 1000, 50))  # seconds
    monkeypatch.setattr(sessions.time, "monotonic", lambda: next(clock))
    attempt = new_attempt(tmp_path / "job", 1)
    watch = ProgressWatch(attempt, spec_in(tmp_path), minutes=1)
    for grow in (attempt.messages, attempt.out / "rows", attempt.out / "rows"):
        with grow.open("a") as file:
            file.write("more")
        watch.look()
    watch.look()
    with pytest.raises(Lost, match="no message and no growth of its files for 1 minutes"):
        watch.look()


def test_a_worker_that_may_be_silent_is_never_lost(tmp_path):
    watch = ProgressWatch(new_attempt(tmp_path / "job", 1), spec_in(tmp_path), minutes=0)
    watch.look()
    watch.look()


def test_an_attempt_is_given_up_by_a_file_and_by_the_removal_of_its_folder(tmp_path):
    with new_job(tmp_path) as job:
        first, second = new_attempt(job, 1), new_attempt(job, 2)
        for attempt in (first, second):
            attempt.context.write_text("{}")
        first.give_up()
        assert first.is_given_up
        assert not second.is_given_up
    assert second.is_given_up


def test_replies_of_a_first_attempt_are_found_by_the_second_though_its_journal_is_locked(tmp_path, monkeypatch):
    responses = Responses(tmp_path)
    with responses.journal("part"):
        monkeypatch.setenv(ATTEMPT, "2")
        with responses.journal("part") as second:
            assert second.path.name == "part.again-1.jsonl"


def test_a_trial_writes_where_its_attempt_says():
    base = {"path": "base", "name": "tiny", "revision": "r"}
    train = {"student_base": base, "teacher": base, "task": "qa", "training": {}, "examples": "e", "name": "tiny"}
    own = {"study": "s", "sweep": {"space": {"learning_rate": [1e-3]}}, "number": 0}
    trial = TrialSpec.model_validate({"train": {**train, "out": "a", "work": "w"}, **own})
    assert trial.target == "a"
    assert trial.writing_to("b").train.out == "b"
