"""The backup of docs/operating.md, taken in the middle of a run: after a restore, no stored reply is asked again."""

import contextlib
import json
import shutil
import signal
import subprocess
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import dagster as dg
import pytest

from distill_dagster.config.reading import load_config
from distill_dagster.lineage.project import Project
from distill_dagster.lineage.snapshot import Snapshot
from distill_dagster.operations.instance import INSTANCE_CONFIG
from distill_dagster.planning.plan import make_plan
from testing import object_store
from testing.api_project import SHARD_ROWS, write_api_project
from testing.dev_server import COMMAND, environment, run_command
from testing.postgres import DATABASE, FOLDERS, PASSWORD, USER, PostgresServer, needs_postgres, open_postgres
from testing.waiting import PATIENCE, wait_for

pytestmark = [pytest.mark.processes, pytest.mark.timeout(PATIENCE)]
HELD, SECOND, LAST = "question <20>", "train-part-01", "teacher_outputs"  # the server does not answer that question


@pytest.fixture
def write(tmp_path, server) -> Callable[..., Path]:
    """Call it for the config of a project whose second shard will hang at one question."""

    def call(**changes) -> Path:
        server.script(rules=[{"match": HELD, "fault": "hang", "seconds": 3 * PATIENCE}])
        return write_api_project(tmp_path / "project", server, endpoint={"timeout_seconds": PATIENCE}, **changes)

    return call


def questions(server) -> dict[str, int]:
    """How often each question was asked; the preflight asks something else."""
    return {text: count for text, count in server.counts()["by_prompt"].items() if text.startswith("question")}


@contextlib.contextmanager
def under_way(path: Path, server, **variables: str) -> Iterator[set[str]]:
    """The questions whose replies are stored, while a run waits for one more; it is killed at the end of the block."""
    command, said = [*COMMAND, "run", "--config", str(path), "--until", LAST], path.with_name("run.log")
    with said.open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, env={**environment(), **variables})

    def waits() -> bool:
        assert process.poll() is None, said.read_text()
        if len(questions(server)) < 2 * SHARD_ROWS:
            return False
        (shard,) = (s for s in make_plan(Snapshot(Project(load_config(path)))).shards if s.shard == SECOND)
        return (shard.new, shard.reused) == (1, SHARD_ROWS - 1)

    try:
        wait_for(waits, "all replies of two shards but one")
        yield questions(server).keys() - {HELD}
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()


def copy(source: object, target: object) -> None:
    done = run_command("store", "copy", source, target)
    assert done.exit_code == 0, done.output


def finish(path: Path, server) -> set[str]:
    """Run the restored project; returns the questions that it asks."""
    server.script()
    done = run_command("run", "--config", str(path), "--until", LAST)
    assert done.exit_code == 0, done.output
    return set(questions(server))


def test_a_local_store_is_copied_during_a_run_and_restored(write, server, tmp_path):
    path = write()
    with under_way(path, server) as answered:
        copy(path.parent / "store", tmp_path / "backup")
    shutil.rmtree(path.parent / "store")
    (tmp_path / "backup").rename(path.parent / "store")
    asked = finish(path, server)
    assert HELD in asked
    assert not asked & answered
    assert len(asked | answered) == 3 * SHARD_ROWS + 4


def test_a_store_in_a_bucket_is_copied_during_a_run_and_restored(write, server, tmp_path):
    with object_store.open_bucket("stores") as client:
        url = f"s3://stores/{uuid.uuid4().hex}"
        path = write(store=url)
        with under_way(path, server) as answered:
            copy(url, tmp_path / "backup")
        for entry in client.list_objects_v2(Bucket="stores")["Contents"]:
            client.delete_object(Bucket="stores", Key=entry["Key"])
        shutil.rmtree(path.parent / ".distill")
        copy(tmp_path / "backup", url)
        asked = finish(path, server)
    assert HELD in asked
    assert not asked & answered


def dump_of(postgres: PostgresServer) -> bytes:
    """What `pg_dump` writes of Dagster's database."""
    return _client(postgres, "pg_dump", DATABASE)


def load(postgres: PostgresServer, dump: bytes) -> None:
    _client(postgres, "psql", "-q", "-v", "ON_ERROR_STOP=1", DATABASE, said=dump)


def _client(postgres: PostgresServer, program: str, *arguments: str, said: bytes | None = None) -> bytes:
    server = ["-h", "127.0.0.1", "-p", str(postgres.port), "-U", USER]
    command = [str(FOLDERS[-1] / program), *server, *arguments]
    done = subprocess.run(
        command, input=said, capture_output=True, env={**environment(), "PGPASSWORD": PASSWORD}, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@needs_postgres
@pytest.mark.slow
def test_with_dagsters_database_on_a_server_the_history_comes_back_too(write, server, tmp_path):
    path, home = write(), tmp_path / "home"
    with open_postgres() as postgres:
        postgres.write_instance(home, INSTANCE_CONFIG)
        with under_way(path, server, DAGSTER_HOME=str(home)) as answered:
            dump = dump_of(postgres)
            copy(path.parent / "store", tmp_path / "backup")
    shutil.rmtree(path.parent / "store")
    (tmp_path / "backup").rename(path.parent / "store")
    with open_postgres() as restored:
        load(restored, dump)
        restored.write_instance(home, INSTANCE_CONFIG)
        server.script()
        command = [*COMMAND, "run", "--config", str(path), "--until", LAST]
        variables = {**environment(), "DAGSTER_HOME": str(home)}
        done = subprocess.run(command, capture_output=True, text=True, env=variables, check=False)
        assert done.returncode == 0, done.stderr
        outcome = json.loads(done.stdout.splitlines()[-1])
        with dg.DagsterInstance.from_config(str(home)) as instance:
            partitions = [run.tags.get("dagster/partition") for run in instance.get_runs()]
    assert partitions.count("train-part-00") == 2, "its rows and answers, both of before; nothing made them again"
    assert outcome["skipped"] >= 4
    assert not set(questions(server)) & answered
