"""A backfill by the processes of deploy/: left alone, or with each process killed in turn while it goes on.

with open_backfills(folder, server) as backfills:
    backfills.make(0)                       # the first half of the shards
    backfills.make(1, is_disturbed=True)    # the second half
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

HALF = 6  # shards of each backfill
ASSETS = ["raw_dataset", "teacher_outputs"]
KILLED = ("code", "daemon", "webserver", "postgres")  # in this order, each after one more shard was made


def shards_of(half: int) -> list[str]:
    """The shards of the first (0) or second (1) half."""
    return [f"train-part-{n:02}" for n in range(HALF * half, HALF * (half + 1))]


@dataclass(frozen=True, slots=True)
class Backfills:
    """The backfills of one project."""

    production: Production
    project: Project

    def make(self, half: int, *, is_disturbed: bool = False) -> None:
        """Back-fill half of the shards, and wait for the end."""
        backfill = self.production.backfill(ASSETS, shards_of(half))
        for number, name in enumerate(KILLED if is_disturbed else (), start=1):
            wait_for(lambda number=number: self._made(half) >= number, f"shard {number}")
            if name == "postgres":
                self.production.postgres.crash()
                self.production.postgres.start()
            else:
                self.production.kill(name)
                self.production.start(name)
        wait_for(lambda: self._is_over(backfill), "the end of the backfill")

    def missing(self, half: int) -> list[tuple[str, str]]:
        """The assets and shards that were not made."""
        return [(asset, shard) for asset in ASSETS for shard in shards_of(half) if not self._has(asset, shard)]

    def _has(self, asset: str, shard: str) -> bool:
        return self.project.store.find(asset, shard) is not None

    def _made(self, half: int) -> int:
        return sum(self._has("teacher_outputs", shard) for shard in shards_of(half))

    def _is_over(self, backfill: str) -> bool:
        found = self.production.ask(STATUS, id=backfill)["partitionBackfillOrError"]
        log = self.production.log.read_text()[-4000:]
        assert found["status"] in ("REQUESTED", "COMPLETING", "COMPLETED_SUCCESS"), (found, log)
        return found["status"] == "COMPLETED_SUCCESS"


@contextlib.contextmanager
def open_backfills(folder: Path, server: FaultServer) -> Iterator[Backfills]:
    """A project whose teacher is made, with its shards known to the instance."""
    path = write_api_project(folder / "project", server, shards=2 * HALF)
    config = load_config(path)
    with open_production(folder / "processes", path) as production:
        with production.instance() as instance:
            wait_for(lambda: len(instance.get_dynamic_partitions("shards")) == 2 * HALF + 1, "the partitions")
            assert not run_project(config, instance, "teacher_model").failed
        yield Backfills(production, Project(config))
