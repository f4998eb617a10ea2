"""Dagster's home and its database: what is wrong with them is said before anything starts, with the way out."""

import sqlite3
import subprocess
from pathlib import Path

import dagster as dg
import pytest
from sqlalchemy.exc import OperationalError

from distill_dagster.config.reading import load_config
from distill_dagster.errors import ConfigError, DataError
from distill_dagster.operations.database_errors import explain_database
from distill_dagster.operations.instance import dagster_home, open_instance
from testing.dev_server import COMMAND, environment, run_command
from testing.generation_contract import small_disk
from testing.projects import write_project


@pytest.fixture
def config(tmp_path, monkeypatch):
    """A project, with its own instance; the variable is restored after the test."""
    monkeypatch.setenv("DAGSTER_HOME", "")
    return load_config(write_project(tmp_path))


def used(config, monkeypatch):
    """Open the project's own instance and read from it."""
    monkeypatch.setenv("DAGSTER_HOME", "")
    with open_instance(config) as instance:
        instance.add_dynamic_partitions("shards", ["one"])
        return instance.get_dynamic_partitions("shards")


@pytest.mark.parametrize(
    ("home", "words"),
    [
        ("relative", "which is not an absolute path"),
        ("{tmp}/missing", "does not exist: create the folder"),
        ("{tmp}/distill.yaml", "is not a folder"),
    ],
)
@pytest.mark.parametrize("opened", [dagster_home, lambda config: open_instance(config).__enter__()])
def test_a_home_that_is_no_absolute_path_of_a_folder_is_refused(config, tmp_path, monkeypatch, opened, home, words):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "relative").mkdir()
    monkeypatch.setenv("DAGSTER_HOME", home.format(tmp=tmp_path))
    with pytest.raises(ConfigError, match=f"the environment variable DAGSTER_HOME is .*{words}"):
        opened(config)
    assert not (tmp_path / "store").exists()


def database(config) -> Path:
    return Path(config.store) / ".dagster" / "history" / "runs.db"


def drop_tables(path):
    with sqlite3.connect(path) as connection:
        connection.execute("DROP TABLE kvs")
        connection.execute("DROP TABLE runs")


def lock(path):
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("BEGIN EXCLUSIVE")
    return connection


def test_a_database_of_another_version_says_how_to_go_on(config, monkeypatch):
    used(config, monkeypatch)
    drop_tables(database(config))
    with pytest.raises(DataError) as error, open_instance(config) as instance:
        instance.get_runs()
    assert "no such table" in str(error.value)
    assert "dagster instance migrate" in str(error.value)
    assert "make room" not in str(error.value)


def test_a_damaged_database_says_how_to_go_on(config, monkeypatch):
    used(config, monkeypatch)
    database(config).write_bytes(b"not a database, but long enough to be read as one" * 100)
    with pytest.raises(DataError, match=r"not a database\): the file is damaged: restore it from a backup, or move"):
        used(config, monkeypatch)


def test_a_full_disk_under_the_database_is_named(tmp_path, config, monkeypatch):
    with small_disk(tmp_path / "disk", "200k"):
        full = config.model_copy(update={"store": str(tmp_path / "disk/store")})
        with pytest.raises(DataError, match="make room") as error:
            used(full, monkeypatch)
        assert f"the file system {tmp_path}/disk (" in str(error.value)


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ("database or disk is full", "is full: make room there"),
        ("could not extend file: No space left on device", "is full: make room there"),
        ("disk I/O error", "check the disk"),
        ("database is locked", "another process holds it: wait"),
        ("attempt to write a readonly database", "this user may write it"),
        ("unable to open database file", "this user may write it"),
        ("no such column: runs.start_time", "dagster instance migrate"),
        ('relation "runs" does not exist', "dagster instance migrate"),
        ("table secondary_indexes already exists", "dagster instance migrate"),
        ("database disk image is malformed", "the file is damaged"),
        ('FATAL:  password authentication failed for user "dagster"', "check user, password"),
        ('connection to server at "db" (10.0.0.1), port 5432 failed: Connection refused', "does not answer"),
        ('could not translate host name "db" to address', "does not answer"),
        ("something new", "dagster.yaml for its settings"),
    ],
)
def test_each_kind_of_error_has_its_way_out(tmp_path, said, words):
    message = explain_database(OperationalError("SELECT 1", {}, Exception(said)), tmp_path)
    assert said.splitlines()[0] in message
    assert words in message
    assert ("make room" in message) == ("full" in said or "No space" in said)


@pytest.mark.processes
def test_three_first_runs_at_once_all_end_well(tmp_path):
    path = write_project(tmp_path)
    asked = [*COMMAND, "run", "--config", str(path), "--until", "eval_dataset"]
    started = [
        subprocess.Popen(asked, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment())
        for _ in range(3)
    ]
    said = [process.communicate()[0] for process in started]
    assert [process.returncode for process in started] == [0, 0, 0], "\n\n".join(said)
    with dg.DagsterInstance.from_config(str(tmp_path / "store/.dagster")) as instance:
        shards = ["train-part-00", "train-part-01", "train-part-02", "validation"]
        assert sorted(instance.get_dynamic_partitions("shards")) == shards
        assert not instance.get_runs(dg.RunsFilter(statuses=[dg.DagsterRunStatus.FAILURE]))
    assert len(run_command("run", "--config", path, "--until", "eval_dataset").output.split("fresh ")) == 6
