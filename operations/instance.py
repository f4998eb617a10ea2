"""The Dagster instance of a project, and its folder."""

import contextlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import dagster as dg

from distill_dagster.config import DistillConfig
from distill_dagster.errors import DataError
from distill_dagster.operations.database_errors import explained_error

INSTANCE_CONFIG = Path(__file__).with_name("dagster.yaml")


def dagster_home(config: DistillConfig) -> Path:
    """Where the project's Dagster instance lives: DAGSTER_HOME if set, else `.dagster` in the store.

    Raises:
        DataError: the folder cannot be written, or its path cannot be part of a database's URL.
    """
    if chosen := os.environ.get("DAGSTER_HOME"):
        return _usable(Path(chosen).resolve())  # the user's own; its settings are theirs
    home = _usable(Path(config.store) / ".dagster")
    try:
        home.mkdir(parents=True, exist_ok=True)
        if not (home / INSTANCE_CONFIG.name).exists():
            shutil.copy(INSTANCE_CONFIG, home)
    except OSError as e:
        raise DataError(f"the store {config.store} cannot be written ({e}): choose another `store:`") from e
    return home.resolve()


def _usable(home: Path) -> Path:
    """Refuse a path with a `?`, which would end the path of the database in its URL."""
    if "?" in str(home):
        raise DataError(
            f"Dagster cannot keep its database in {home}, because of the `?` in the path: rename the folder, or set "
            "DAGSTER_HOME to a folder without one"
        )
    return home


@contextlib.contextmanager
def open_instance(config: DistillConfig) -> Iterator[dg.DagsterInstance]:
    """The project's Dagster instance.

    Raises:
        DataError: its database cannot be used; the message tells a full disk from a damaged or locked database.
    """
    from sqlalchemy.exc import DatabaseError, OperationalError

    home = dagster_home(config)
    os.environ["DAGSTER_HOME"] = str(home)
    try:
        with dg.DagsterInstance.get() as instance:
            yield instance
    except DatabaseError as e:
        if type(e) not in (DatabaseError, OperationalError):  # its other kinds are bugs
            raise
        raise explained_error(home, e.orig) from e
