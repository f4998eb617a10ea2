"""Clearing that is killed leaves every version that a manifest names whole, and no reply lost; the next one ends it."""

import random
import signal
from datetime import timedelta
from pathlib import Path

import pytest

from distill_dagster.clearing.specs import Rules
from distill_dagster.config.reading import load_config
from distill_dagster.lineage.project import Project
from distill_dagster.store.objects.backend import ObjectBackend
from distill_dagster.store.objects.sweep import KEPT
from distill_dagster.teachers.responses import Responses
from testing import object_store
from testing.api_project import write_api_project
from testing.clearing import LATER, MUCH_LATER, NOWHERE, answer, clear, clear_and_die, publish, store_replies, text_of
from testing.store_writers import start
from testing.waiting import PATIENCE

pytestmark = [pytest.mark.processes, pytest.mark.timeout(PATIENCE)]
SHARDS, GONE, PRESENT, KILLS = 6, range(100, 130), range(12), 6
LOCAL = ("os:unlink", "os:rename", "os:replace", "os:rmdir", "shutil:rmtree")
IN_BUCKET = tuple(f"distill_dagster.store.objects.bucket:Bucket.{name}" for name in ("delete", "put_file", "replace"))


@pytest.fixture
def made(tmp_path):
    """Call it for a project with old versions, and with replies to rows that are gone for long."""

    def make(**changes) -> Project:
        path = write_api_project(tmp_path / "project", NOWHERE, shards=1, **changes)
        project = Project(load_config(path))
        for n in range(SHARDS):
            for data in ("old", "new"):
                publish(project.store, f"raw_dataset/s{n}", f"{data}{n}")
        responses = Responses(project.responses)
        for n in range(0, len(GONE), 5):
            store_replies(responses, f"s{n}", [answer(GONE[n + i]) for i in range(5)] + [answer(PRESENT[n // 5])])
        return project

    return make


def require_whole(project: Project, spent: float) -> None:
    """Every named version is whole, no reply to a present row is lost, and the ledger is the same."""
    for n in range(SHARDS):
        assert text_of(project.store.get("raw_dataset", f"s{n}")) == f"new{n}"
        if before := project.store.previous("raw_dataset", f"s{n}"):
            assert text_of(before) == f"old{n}"
    responses = Responses(project.responses)
    assert len(responses.find([answer(n).request_hash for n in PRESENT])) == len(GONE) // 5
    assert responses.spent() == spent


def expire(project: Project) -> None:
    """Free the locks of killed processes: in a bucket, their leases would hold for a minute each."""
    if isinstance(project.store.backend, ObjectBackend):
        bucket = project.store.backend.bucket
        bucket.delete([entry.path for entry in bucket.list("locks")])


def kill_and_finish(project: Project, targets: tuple[str, ...]) -> int:
    """Kill several processes that clear the project, and then clear it; returns how many were killed."""
    clear(project, Rules(now=LATER.now, days=1000))  # notes which rows are gone, and deletes nothing
    spent, chance, killed = Responses(project.responses).spent(), random.Random(7), 0
    for _ in range(KILLS):
        for target in targets:
            arguments = (Path(project.config.folder) / "distill.yaml", MUCH_LATER, target, chance.randint(1, 6))
            process = start(clear_and_die, *arguments)
            process.join()
            assert process.exitcode in (0, -signal.SIGKILL)
            killed += process.exitcode != 0
            require_whole(project, spent)
            expire(project)
    clear(project, MUCH_LATER)
    require_whole(project, spent)
    assert Responses(project.responses).find([answer(n).request_hash for n in GONE]) == {}
    assert [project.store.previous("raw_dataset", f"s{n}") for n in range(SHARDS)] == [None] * SHARDS
    return killed


def test_a_local_store(made):
    project = made()
    assert kill_and_finish(project, LOCAL) >= len(LOCAL)
    for n in range(SHARDS):
        folder = project.store.folder("raw_dataset", f"s{n}")
        assert [path.name for path in (folder / "versions").iterdir()] == [
            project.store.get("raw_dataset", f"s{n}").version
        ]


def test_a_store_in_a_bucket(made):
    with object_store.open_bucket("stores"):
        project = made(store="s3://stores/support")
        assert kill_and_finish(project, IN_BUCKET) >= len(IN_BUCKET)
        bucket = project.store.backend.bucket
        assert timedelta(days=1) == KEPT
        assert len(bucket.list("versions")) >= 2 * SHARDS, "the files of retired versions have a day of grace"
        project.store.backend.sweep(timedelta(seconds=-1))
        names = {project.store.get("raw_dataset", f"s{n}").version for n in range(SHARDS)}
        assert {entry.path.split("/")[3] for entry in bucket.list("versions")} == names
