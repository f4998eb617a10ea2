"""A backfill by the processes of deploy/: left alone, or with each process killed in turn while it goes on.

with open_backfills(folder, server) as backfills:
    backfills.make(0)                       # the first shards
    backfills.make(1, is_disturbed=True)    # the next ones
"""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from distill_dagster.config.reading import load_config
from distill_dagster.lineage.project import Project
from testing.api_project import write_api_project
from testing.fault_server import FaultServer
from testing.production import STATUS, Production, open_production
from testing.projects import run_project
from testing.waiting import wait_for

SHARDS = 6  # of each backfill
ASSETS = ["raw_dataset", "teacher_outputs"]
KILLED = ("code", "daemon", "webserver", "postgres")  # in this order, each after one more shard was made


def shards_of(number: int) -> list[str]:
    """The shards of one backfill, counted from 0."""
    return [f"train-part-{n:02}" for n in range(SHARDS * number, SHARDS * (number + 1))]


@dataclass(frozen=True, slots=True)
class Backfills:
    """The backfills of one project."""

    production: Production
    project: Project

    def make(self, number: int, *, is_disturbed: bool = False) -> None:
        """Start a backfill, and wait for its end."""
        backfill = self.production.backfill(ASSETS, shards_of(number))
        for made, name in enumerate(KILLED if is_disturbed else (), start=1):
            wait_for(lambda made=made: self._made(number) >= made, f"{made} shards")
            if name == "postgres":
                self.production.postgres.crash()
                self.production.postgres.start()
            else:
                self.production.kill(name)
                self.production.start(name)
        wait_for(lambda: self._is_over(backfill), "the end of the backfill")

    def missing(self, number: int) -> list[tuple[str, str]]:
        """The assets and shards that a backfill has not made."""
        return [(asset, shard) for asset in ASSETS for shard in shards_of(number) if not self._has(asset, shard)]

    def _has(self, asset: str, shard: str) -> bool:
        return self.project.store.find(asset, shard) is not None

    def _made(self, number: int) -> int:
        return sum(self._has("teacher_outputs", shard) for shard in shards_of(number))

    def _is_over(self, backfill: str) -> bool:
        found = self.production.ask(STATUS, id=backfill)["partitionBackfillOrError"]
        assert found["status"] in ("REQUESTED", "COMPLETING", "COMPLETED_SUCCESS"), (found, self._end_of_log())
        return found["status"] == "COMPLETED_SUCCESS"

    def _end_of_log(self) -> str:
        return self.production.log.read_text(errors="replace")[-4000:]


@contextlib.contextmanager
def open_backfills(folder: Path, server: FaultServer, backfills: int = 2) -> Iterator[Backfills]:
    """A project with shards for so many backfills, whose teacher is made."""
    shards = SHARDS * backfills
    path = write_api_project(folder / "project", server, shards=shards)
    config = load_config(path)
    with open_production(folder / "processes", path) as production:
        with production.instance() as instance:
            wait_for(lambda: len(instance.get_dynamic_partitions("shards")) == shards + 1, "the partitions")
            assert not run_project(config, instance, "teacher_model").failed
        yield Backfills(production, Project(config))
