"""Replies in a bucket: every machine finds them, also those of a process that was killed, and each counts once."""

import contextlib
import math
import os
import shutil
import signal
import subprocess
import sys
import time
import uuid

import pytest

from distill_dagster.errors import DataError
from distill_dagster.store.objects import bucket as bucket_module
from distill_dagster.store.places import BucketFolder
from distill_dagster.teachers import responses as responses_module
from distill_dagster.teachers.bucket_shelf import BucketShelf
from distill_dagster.teachers.journal import read_journal
from distill_dagster.teachers.responses import Responses
from testing import object_store
from testing.generation_contract import CONCURRENCY, asked_rows, generate, is_right, spec_for
from tests.teachers.test_responses import reply


@pytest.fixture(scope="module")
def server_of_buckets():
    with object_store.open_bucket("replies") as client:
        yield client


@pytest.fixture
def place(server_of_buckets, tmp_path):
    """Call it for the replies as a machine of this name sees them."""
    url = f"s3://replies/{uuid.uuid4().hex}"
    return lambda name="here": BucketFolder(url, "responses", tmp_path / name)


def record(responses, name, replies, killed=False):
    with contextlib.suppress(KeyboardInterrupt), responses.journal(name) as log:
        for stored in replies:
            log.append(stored._asdict())
        if killed:
            raise KeyboardInterrupt


def test_another_machine_finds_what_was_sealed_and_what_is_being_asked(place):
    record(Responses(place()), "s0", [reply(1)])
    with Responses(place()).journal("s1") as log:
        log.append(reply(2)._asdict())
        log.sync()
        there = Responses(str(place("there")))
        assert sorted(there.find(["h1", "h2", "h3"])) == ["h1", "h2"]
        assert there.spent() == 1.0
    assert Responses(place("third")).spent() == 1.0
    assert Responses(place("third")).mean_completion_tokens("made", "1") == 10


def test_a_thread_sends_lines_while_the_journal_is_open(place):
    with Responses(place()).journal("s0") as log:
        log.append(reply(1)._asdict())
        while not Responses(place(uuid.uuid4().hex)).find(["h1"]):
            time.sleep(0.05)
        log.append(reply(2)._asdict())
        while not Responses(place(uuid.uuid4().hex)).find(["h2"]):
            time.sleep(0.05)
        assert len(place().bucket.list("responses/journals/s0")) == 2, "one object a flush"
    assert place().bucket.list("responses/journals") == []


def test_what_an_interrupted_run_left_is_sealed_by_the_next_one_on_any_machine(place):
    record(Responses(place()), "s0", [reply(1)], killed=True)
    record(Responses(place("there")), "s0", [reply(2)])
    third = Responses(place("third"))
    assert (sorted(third.find(["h1", "h2"])), third.spent()) == (["h1", "h2"], 1.0)
    assert place().bucket.list("responses/journals") == []


def test_lines_that_were_not_sent_are_sent_by_the_next_run_here(place):
    """As a process leaves them that dies between two flushes, in the middle of a line."""
    with Responses(place()).journal("other") as log:
        log.append(reply(1)._asdict())
        folder = place().local / "unsent" / "s0"
        folder.mkdir()
        shutil.copyfile(place().local / "unsent" / "other" / "open.jsonl", folder / "open.jsonl")
        with (folder / "open.jsonl").open("ab") as file:
            file.write(b'{"request_hash": "h')
    record(Responses(place()), "s0", [reply(2)])
    assert sorted(Responses(place("there")).find(["h1", "h2"])) == ["h1", "h2"]


def test_small_segments_are_merged_and_each_reply_counts_once(place, monkeypatch):
    monkeypatch.setattr(responses_module, "MOST_SMALL", 3)
    there = Responses(place("there"))
    for number in range(5):
        record(Responses(place()), f"s{number}", [reply(number)])
        there.find(["h0"])
    assert len(place().bucket.list("responses/segments")) < 5
    for responses in (there, Responses(place("third"))):
        deadline = time.monotonic() + 10  # a listing counts for two seconds
        while responses.spent() != 2.5:
            assert time.monotonic() < deadline
            time.sleep(0.1)
        assert len(responses.find([f"h{n}" for n in range(5)])) == 5


def test_who_merges_next_sees_what_was_merged_while_it_waited_for_the_lease(place):
    record(Responses(place()), "s0", [reply(1), reply(2), reply(3)])
    shelf = Responses(place("there"))._shelf
    before = [path.name for path in shelf.segments()]
    shelf._listed_at = math.inf  # as if it had just listed the segments
    assert Responses(place()).delete(["h1"]) == 1
    assert [path.name for path in shelf.segments()] == before
    with shelf.merging():
        after = [path.name for path in shelf.segments()]
    assert after == [entry.path.rpartition("/")[2] for entry in place().bucket.list("responses/segments")] != before


def test_replies_that_cannot_be_sent_stop_the_run_and_are_kept(place, monkeypatch):
    def fails(*_):
        raise DataError("the bucket is gone")

    responses = Responses(place())
    with monkeypatch.context() as patched:
        patched.setattr(BucketShelf, "_send", fails)
        with pytest.raises(DataError, match="the bucket is gone"):
            record(responses, "s0", [reply(1)])
    record(Responses(place()), "s0", [])
    assert sorted(Responses(place("there")).find(["h1"])) == ["h1"]


def test_small_texts_are_objects(place):
    here, there = (Responses(place(name)).documents("batches") for name in ("here", "there"))
    here.write("a.json", "{}")
    assert (there.names(), there.read("a.json"), there.read("b.json")) == (["a.json"], "{}", None)
    with here.locked("budget.lock"), pytest.raises(Exception, match="budget"), there.locked("budget.lock", wait=False):
        pass
    there.remove("a.json")
    assert here.names() == []


@pytest.mark.processes
@pytest.mark.parametrize("machine", ["here", "there"])
def test_after_a_kill_no_reply_that_was_sent_is_paid_for_twice(place, server, tmp_path, machine):
    rows = asked_rows(60)
    server.script(latency=0.1)
    spec = spec_for(tmp_path, server, rows, responses=str(place()))
    worker = subprocess.Popen(
        [sys.executable, "-m", "distill_dagster.workers", "generate_shard"], stdin=subprocess.PIPE
    )
    worker.stdin.write(spec.model_dump_json().encode())
    worker.stdin.close()
    bucket = place().bucket
    while len(bucket.list("responses/journals/shard")) < 2:
        assert worker.poll() is None
        time.sleep(0.02)
    os.kill(worker.pid, signal.SIGKILL)
    worker.wait()
    asked, sent = server.counts()["total"], Responses(place("reader")).find(hashes_of(place("reader"), bucket))
    kept = sum(len([*read_journal(path)]) for path in (place().local / "unsent" / "shard").glob("*.jsonl"))
    assert 0 < len(sent) < len(rows)
    assert asked - len(sent) - kept <= CONCURRENCY, "no more is lost than was in flight"
    end_lease(bucket)
    result, table = generate(spec.model_copy(update={"responses": str(place(machine))}))
    assert is_right(table, rows)
    assert result.asked == len(rows) - len(sent) - (kept if machine == "here" else 0)
    assert server.counts()["total"] == asked + result.asked


def hashes_of(place, bucket):
    """The requests of all lines in the bucket."""
    shelf = BucketShelf(bucket, "responses", place.local / "lines", place.local / "unsent")
    return [line["request_hash"] for path in shelf.journals() for line in read_journal(path)]


def end_lease(bucket):
    """Spare the test the minute for which a dead owner's lease holds."""
    bucket_module.Bucket.delete(bucket, [entry.path for entry in bucket.list("locks")])
