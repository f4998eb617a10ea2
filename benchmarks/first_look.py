"""How long the ticks of the sensor `observe_sources` take while it looks at 10,000 new files for the first time.

    first_look_tick_s_10000_sqlite      the longest tick; Dagster gives up on a sensor after 60 s
    first_look_tick_s_10000_postgres
    first_look_s_10000_sqlite           all ticks together; under the daemon, `automation.observe_seconds` lies between
    first_look_s_10000_postgres
    first_look_ticks_10000_…            how many

The files are real, and so are the instances: SQLite databases in a folder, and a PostgreSQL server of Debian's package
on loopback, which this bench starts as a user other than root. Without that package, its keys are left out.
"""

import shutil
import sys
import tempfile
from pathlib import Path

import dagster as dg

from benchmarks.automation import Sensor
from benchmarks.listing import write_sources
from distill_dagster.operations.instance import INSTANCE_CONFIG
from testing.postgres import open_postgres, why_no_postgres

SHARDS = 10_000


def measure() -> dict[str, float]:
    """Seconds of the ticks on each storage."""
    found = _on_sqlite()
    if problem := why_no_postgres():
        print(f"first_look: nothing is measured on PostgreSQL: {problem}", file=sys.stderr)
        return found
    return found | _on_postgres()


def _on_sqlite() -> dict[str, float]:
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder) / "dagster"
        home.mkdir()
        shutil.copy(INSTANCE_CONFIG, home)
        return _look(Path(folder), home, "sqlite")


def _on_postgres() -> dict[str, float]:
    with tempfile.TemporaryDirectory() as folder, open_postgres() as server:
        server.write_instance(Path(folder) / "dagster", INSTANCE_CONFIG)
        return _look(Path(folder), Path(folder) / "dagster", "postgres")


def _look(folder: Path, home: Path, storage: str) -> dict[str, float]:
    project = write_sources(folder, SHARDS)
    with dg.DagsterInstance.from_config(str(home)) as instance:
        ticks = Sensor(project.config, instance).first_look()
        assert len(instance.get_dynamic_partitions("shards")) == SHARDS
    return {
        f"first_look_tick_s_{SHARDS}_{storage}": max(ticks),
        f"first_look_s_{SHARDS}_{storage}": sum(ticks),
        f"first_look_ticks_{SHARDS}_{storage}": len(ticks),
    }
