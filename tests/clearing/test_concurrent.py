"""Clearing beside processes that publish: each of them finishes, and what a reader opens is whole."""

import pytest

from distill_dagster.config.reading import load_config
from distill_dagster.lineage.project import Project
from distill_dagster.teachers.responses import Responses
from testing.api_project import write_api_project
from testing.clearing import (
    MUCH_LATER,
    NOWHERE,
    answer,
    clear,
    publish,
    publish_many,
    seal_many,
    store_replies,
    text_of,
)
from testing.store_writers import FORKS, start
from testing.waiting import PATIENCE

pytestmark = [pytest.mark.processes, pytest.mark.timeout(PATIENCE)]
ROUNDS, SHARDS = 40, ("a", "b")


def test_publications_and_clearing_at_once(tmp_path):
    path = write_api_project(tmp_path, NOWHERE, shards=1)
    project = Project(load_config(path))
    for shard in SHARDS:
        publish(project.store, f"raw_dataset/{shard}", "first")
    store_replies(Responses(project.responses), "gone", [answer(n) for n in range(100, 105)])
    clear(project, MUCH_LATER)
    cleared, ended = FORKS.Event(), FORKS.Queue()
    writers = [start(publish_many, path, f"raw_dataset/{shard}", ROUNDS, cleared, ended) for shard in SHARDS]
    writers.append(start(seal_many, path, ROUNDS, cleared, ended))
    while any(writer.is_alive() for writer in writers):
        if any(lot.count for lot in clear(project, MUCH_LATER) if lot.kind == "version" and not lot.why):
            cleared.set()
        for shard in SHARDS:
            assert project.store.find("raw_dataset", shard), "an artefact is never without a whole version"
    for writer in writers:
        writer.join()
    assert [ended.get() for _ in writers] == ["done"] * len(writers)
    assert cleared.is_set()
    for shard in SHARDS:
        assert text_of(project.store.get("raw_dataset", shard)) == f"text {ROUNDS - 1} "
    found = Responses(project.responses).find(answer(n).request_hash for n in range(12))
    assert len(found) == 12, "no reply to a present row is lost"
    assert Responses(project.responses).spent() == (5 + ROUNDS) * 0.5
