"""Tells which published artefacts are settled: the instance knows them from a run whose blocking checks passed.

An artefact can be fresh in the store and still not be settled: another instance made it, its checks failed, or they ran
under other limits. `distill-dagster run` then materializes it again, which only costs the time of its checks.
"""

from collections.abc import Iterator, Sequence
from typing import TypeVar

import dagster as dg

from distill_dagster.assets.naming import Names
from distill_dagster.config import DistillConfig
from distill_dagster.lineage.stages import STAGES
from distill_dagster.operations.returning import VERSION_TAG
from distill_dagster.store.hashing import canonical_json, sha256
from distill_dagster.store.manifest import Manifest

GATES_TAG = "distill/gates"  # a run under other limits says nothing about the present ones
A_QUERY = 500
T = TypeVar("T")


def gates_of(config: DistillConfig) -> str:
    """A hash of the limits and severities of all checks."""
    return sha256(canonical_json(config.checks.model_dump()))[:16]


class Settled:
    """What an instance knows of a project's artefacts, from a few queries for each asset, not for each shard."""

    def __init__(self, instance: dg.DagsterInstance, config: DistillConfig) -> None:
        self._instance, self._names, self._gates = instance, Names.of(config), gates_of(config)
        self._known: dict[str, dict[str | None, str]] = {}  # asset -> shard -> data version

    def knows(self, manifest: Manifest) -> bool:
        """Whether the last materialization of the artefact is this version, from a run that succeeded."""
        if manifest.asset not in self._known:
            self._known[manifest.asset] = self._look_up(manifest.asset)
        return self._known[manifest.asset].get(manifest.shard) == manifest.data_version

    def _look_up(self, asset: str) -> dict[str | None, str]:
        last = {record.partition_key: record for record in self._last_materializations(asset)}
        passed = self._passed(sorted({record.run_id for record in last.values()}))
        return {shard: _version(record) for shard, record in last.items() if record.run_id in passed}

    def _last_materializations(self, asset: str) -> Iterator[dg.EventLogRecord]:
        """The last materialization of each shard, or of the asset."""
        key = self._names.key(asset)
        if not STAGES[asset].sharded:
            yield from self._instance.fetch_materializations(key, limit=1).records
            return
        ids = self._instance.event_log_storage.get_latest_storage_id_by_partition(
            key, dg.DagsterEventType.ASSET_MATERIALIZATION
        )
        for chosen in batched(sorted(ids.values())):
            last = dg.AssetRecordsFilter(asset_key=key, storage_ids=chosen)
            yield from self._instance.fetch_materializations(last, limit=len(chosen)).records

    def _passed(self, run_ids: Sequence[str]) -> set[str]:
        """Those of the runs that succeeded under the present limits."""
        passed: set[str] = set()
        for chosen in batched(run_ids):
            succeeded = dg.RunsFilter(
                run_ids=chosen, statuses=[dg.DagsterRunStatus.SUCCESS], tags={GATES_TAG: self._gates}
            )
            passed |= set(self._instance.get_run_ids(succeeded))
        return passed


def _version(record: dg.EventLogRecord) -> str:
    made = record.asset_materialization
    return (made.tags or {}).get(VERSION_TAG, "") if made else ""


def batched(values: Sequence[T], size: int = A_QUERY) -> Iterator[list[T]]:
    """The values in lists of at most `size`, by default the most that one query may name."""
    for start in range(0, len(values), size):
        yield list(values[start : start + size])
