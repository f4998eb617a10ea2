"""The Dagster instance of a project, and its folder."""

import contextlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import dagster as dg

from distill_dagster.config import DistillConfig
from distill_dagster.errors import DataError

INSTANCE_CONFIG = Path(__file__).with_name("dagster.yaml")


def dagster_home(config: DistillConfig) -> Path:
    """Where the project's Dagster instance lives: DAGSTER_HOME if set, else `.dagster` in the store."""
    if chosen := os.environ.get("DAGSTER_HOME"):
        return Path(chosen).resolve()  # the user's own; its settings are theirs
    home = Path(config.store) / ".dagster"
    try:
        home.mkdir(parents=True, exist_ok=True)
        if not (home / INSTANCE_CONFIG.name).exists():
            shutil.copy(INSTANCE_CONFIG, home)
    except OSError as e:
        raise DataError(f"the store {config.store} cannot be written ({e}): choose another `store:`") from e
    return home.resolve()


@contextlib.contextmanager
def open_instance(config: DistillConfig) -> Iterator[dg.DagsterInstance]:
    """The project's Dagster instance.

    Raises:
        DataError: its database cannot be used, for example because the disk is full.
    """
    from sqlalchemy.exc import OperationalError

    home = dagster_home(config)
    os.environ["DAGSTER_HOME"] = str(home)
    try:
        with dg.DagsterInstance.get() as instance:
            yield instance
    except OperationalError as e:
        raise DataError(
            f"Dagster's database in {home} cannot be used ({e.orig}): make room there, or choose another `store:`, and "
            "run again; what was published and what was answered is kept"
        ) from e
