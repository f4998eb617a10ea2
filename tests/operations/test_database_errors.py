"""Errors of Dagster's database are told apart, each with its own way out."""

import contextlib
import sqlite3

import pytest

from distill_dagster.config.reading import load_config
from distill_dagster.errors import DataError
from distill_dagster.operations.database_errors import explained_error
from distill_dagster.operations.instance import dagster_home, open_instance
from testing.projects import write_project


def error_of(path, *statements):
    """What SQLite itself raises for the last of the statements."""
    with contextlib.closing(sqlite3.connect(path, timeout=0)) as database:
        try:
            for statement in statements:
                database.execute(statement)
        except sqlite3.DatabaseError as e:
            return e
    raise AssertionError("no error")


def damaged(path):
    path.write_bytes(b"no database " * 100)
    return error_of(path, "SELECT * FROM runs")


def full(path):
    return error_of(path, "CREATE TABLE a (b)", "PRAGMA max_page_count = 2", "INSERT INTO a VALUES (zeroblob(100000))")


def locked(path):
    with contextlib.closing(sqlite3.connect(path)) as holder:
        holder.execute("CREATE TABLE a (b)")
        holder.execute("BEGIN EXCLUSIVE")
        return error_of(path, "INSERT INTO a VALUES (1)")


def read_only(path):
    sqlite3.connect(path).execute("CREATE TABLE a (b)").connection.close()
    return error_of(path, "PRAGMA query_only = 1", "INSERT INTO a VALUES (1)")


def unreachable(path):
    with pytest.raises(sqlite3.OperationalError) as error:
        sqlite3.connect(path.parent / "none" / "a.db")
    return error.value


@pytest.mark.parametrize(
    ("raised", "says"),
    [
        (full, "the disk is full: make room"),
        (damaged, "it is no database: move the folder away"),
        (locked, "another process holds it"),
        (read_only, "it cannot be written"),
        (
            lambda path: error_of(path, "SELECT * FROM runs"),
            "it lacks a table or column: run `dagster instance migrate`",
        ),
        (lambda path: error_of(path, *["CREATE TABLE runs (a)"] * 2), "another process created it at the same time"),
        (unreachable, "it cannot be opened"),
    ],
)
def test_each_error_has_its_way_out(tmp_path, raised, says):
    error = raised(tmp_path / "a.db")
    told = str(explained_error(tmp_path, error))
    assert f": {says}" in told
    assert ("make room" in told) == (raised is full)
    assert told.endswith("what was published and what was answered is kept")


def test_a_damaged_database_is_not_a_full_disk(tmp_path, monkeypatch):
    monkeypatch.delenv("DAGSTER_HOME", raising=False)
    config = load_config(write_project(tmp_path))
    with open_instance(config) as instance:
        instance.get_runs()
    for database in dagster_home(config).rglob("*.db"):
        database.write_bytes(b"no database " * 100)
    with pytest.raises(DataError, match="it is no database: move the folder away"), open_instance(config) as instance:
        instance.get_runs()
