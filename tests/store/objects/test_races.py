"""Processes that publish at once, and processes that are killed: a version is in the store whole, or not at all."""

import json
import os
import random
import signal
import time
from datetime import timedelta

import psutil
import pytest

from distill_dagster.store.places import open_store
from testing.store_writers import (
    ASSET,
    FORKS,
    hold,
    publish,
    publish_for_ever,
    publish_when_told,
    race,
    start,
    text_of,
)
from testing.waiting import wait_for

pytestmark = [pytest.mark.processes, pytest.mark.timeout(300)]
WRITERS, KILLS = 16, 30


@pytest.mark.parametrize("locked", [True, False])
def test_of_many_writers_one_publishes_and_all_see_its_version(url, tmp_path, bucket, locked):
    barrier, results = FORKS.Barrier(WRITERS), FORKS.Queue()
    writers = [start(race, url, tmp_path / str(n), n, barrier, results, locked) for n in range(WRITERS)]
    said = [results.get(timeout=200) for _ in writers]
    for writer in writers:
        writer.join()
    assert len({(version, text) for _, _, version, text in said}) == 1, "all see one version"
    made = {number for number, has_made, _, _ in said if has_made}
    assert len(made) == (1 if locked else WRITERS), "the lock keeps the work from being done twice"
    assert int(said[0][3]) in made
    found = open_store(url, tmp_path / "reader").get(ASSET, "s0")
    assert (found.version, text_of(found)) == said[0][2:]
    assert len(bucket.list("manifests")) == 1


def test_a_writer_that_is_killed_leaves_the_old_version_or_the_new_one(url, tmp_path, bucket):
    reader, chance, seen = open_store(url, tmp_path / "reader"), random.Random(7), set()
    for kill in range(KILLS):
        shard, started = f"s{kill}", FORKS.Event()
        publish(reader, shard, "old")
        writer = start(publish_for_ever, url, tmp_path / f"writer-{kill}", shard, started)
        started.wait(60) if kill % 3 else None
        time.sleep(chance.uniform(0, 0.4))
        os.kill(writer.pid, signal.SIGKILL)
        writer.join()
        found = open_store(url, tmp_path / f"reader-{kill}").get(ASSET, shard)
        seen.add(text_of(found))
        if before := open_store(url, tmp_path / f"reader-{kill}").previous(ASSET, shard):
            text_of(before)
    assert len(seen) > 1, "some were killed late enough to publish"
    listed = len(bucket.list("versions"))
    bucket.delete([entry.path for entry in bucket.list("locks")])  # as if all leases had expired
    swept = reader.backend.sweep(timedelta(seconds=-1))
    kept = {entry.path for entry in bucket.list("versions")}
    named = set()
    for kill in range(KILLS):
        for found in (reader.get(ASSET, f"s{kill}"), reader.previous(ASSET, f"s{kill}")):
            named |= {f"versions/{ASSET}/s{kill}/{found.version}/{name}" for name in found.files} if found else set()
    assert kept == named
    assert len(kept) + len(swept) == listed


def test_a_writer_that_is_killed_holds_its_artefact_no_longer_than_its_lease(url, tmp_path, bucket):
    started = FORKS.Event()
    writer = start(hold, url, tmp_path / "writer", "s0", started)
    assert started.wait(60)
    os.kill(writer.pid, signal.SIGKILL)
    writer.join()
    assert json.loads(bucket.get(f"locks/{ASSET}/s0.json").data)["held"]
    assert text_of(publish(open_store(url, tmp_path / "next"), "s0", "next")) == "next"
    assert text_of(open_store(url, tmp_path / "reader").get(ASSET, "s0")) == "next"


def test_a_writer_that_was_stopped_for_longer_than_its_lease_replaces_nothing(url, tmp_path, bucket):
    started, go, said, next_store = FORKS.Event(), FORKS.Event(), FORKS.Queue(), open_store(url, tmp_path / "next")
    writer = start(publish_when_told, url, tmp_path / "writer", "s0", started, go, said)
    started.wait()
    lock = f"locks/{ASSET}/s0.json"
    beats = [json.loads(bucket.get(lock).data)["beat"]]
    wait_for(lambda: json.loads(bucket.get(lock).data)["beat"] > beats[0] + 1, "two renewals of the lease")
    os.kill(writer.pid, signal.SIGSTOP)
    wait_for(lambda: psutil.Process(writer.pid).status() == psutil.STATUS_STOPPED, "the writer's stop")
    owner = json.loads(bucket.get(lock).data)["owner"]
    assert f":{writer.pid}:" in owner, "it holds the lock when it is stopped"
    publish(next_store, "s0", "next")
    assert json.loads(bucket.get(lock).data)["owner"] != owner
    os.kill(writer.pid, signal.SIGCONT)
    go.set()
    assert "was published from other inputs while it was being made" in said.get()
    writer.join()
    assert text_of(open_store(url, tmp_path / "reader").get(ASSET, "s0")) == "next"
    assert publish(next_store, "s0", "later").data_version == "later", "its lease is not renewed"
