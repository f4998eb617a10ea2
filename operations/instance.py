"""The Dagster instance of a project, and its folder."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
from filelock import FileLock

from distill_dagster.config import DistillConfig
from distill_dagster.errors import ConfigError, DataError
from distill_dagster.store.disk import room_for, write_text

INSTANCE_CONFIG = Path(__file__).with_name("dagster.yaml")
HOME = "DAGSTER_HOME"
LOCK = ".opening.lock"


def dagster_home(config: DistillConfig) -> Path:
    """Where the project's Dagster instance lives: DAGSTER_HOME if set, else `.dagster` in the project's local folder.

    Raises:
        ConfigError: DAGSTER_HOME names no folder, or not with an absolute path.
        DataError: the store cannot be written, its disk is full, or its path cannot be part of a database's URL.
    """
    if chosen := os.environ.get(HOME):
        return _usable(_chosen(chosen))
    home = _usable(config.local_root / ".dagster")
    with room_for(config.local_root):
        home.mkdir(parents=True, exist_ok=True)
        if not (home / INSTANCE_CONFIG.name).exists():
            write_text(home / INSTANCE_CONFIG.name, INSTANCE_CONFIG.read_text(encoding="utf-8"))
    return home.resolve()


def _usable(home: Path) -> Path:
    """Refuse a path with a `?`, which would end the path of the database in its URL."""
    if "?" in str(home):
        raise DataError(
            f"Dagster cannot keep its database in {home}, because of the `?` in the path: rename the folder, or set "
            "DAGSTER_HOME to a folder without one"
        )
    return home


def _chosen(home: str) -> Path:
    """The user's own DAGSTER_HOME; its settings are theirs."""
    path = Path(home).expanduser()
    if not (path.is_absolute() and path.is_dir()):
        missing = "is not a folder" if path.exists() else "does not exist"
        problem = missing if path.is_absolute() else "is not an absolute path"
        raise ConfigError(
            f"the environment variable {HOME} is {home}, which {problem}: create the folder and give its absolute "
            f"path, or unset {HOME} to use `.dagster` in the store"
        )
    return path.resolve()


@contextlib.contextmanager
def open_instance(config: DistillConfig) -> Iterator[dg.DagsterInstance]:
    """The project's Dagster instance. One process at a time opens it, because the first one creates its database.

    Raises:
        ConfigError: DAGSTER_HOME names no folder.
        DataError: the database cannot be used, for example because the disk is full.
    """
    from sqlalchemy.exc import DBAPIError

    from distill_dagster.operations.database_errors import explain_database

    home = dagster_home(config)
    os.environ[HOME] = str(home)
    try:
        with _one_at_a_time(home):
            opened = dg.DagsterInstance.get()
        with opened as instance:
            yield instance
    except DBAPIError as e:
        raise DataError(explain_database(e, home)) from e


@contextlib.contextmanager
def _one_at_a_time(home: Path) -> Iterator[None]:
    """Hold a lock in the folder; one that this user may not write has its database elsewhere, on a server."""
    lock = FileLock(home / LOCK)
    with contextlib.suppress(OSError):
        lock.acquire()
    try:
        yield
    finally:
        lock.release()
