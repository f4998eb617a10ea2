"""Which checks fail now: the latest word of each check on each shard, however long ago it was said.

    FailingCheck("enough_valid_rows", "raw_dataset", "train-part-03", "ERROR", holds=True, "30 of 50 rows …")

A check that was to be made in a run that failed after it had published the artefact, and never spoke, fails too: nobody
knows what it would have said. Where the artefact itself was not made, its checks had nothing to look at.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import dagster as dg
from dagster._core.definitions.assets.graph.asset_graph import AssetGraph
from dagster._core.event_api import PartitionKeyFilter  # no public call gives a check's latest word on each partition
from dagster._core.storage.asset_check_execution_record import (
    AssetCheckExecutionRecordStatus,
    AssetCheckPartitionInfo,
)


@dataclass(frozen=True, slots=True)
class FailingCheck:
    """A check that did not pass when it was last made."""

    check: str
    asset: str
    shard: str | None
    severity: str  # ERROR | WARN
    holds: bool  # whether nothing that reads the artefact is made
    description: str | None


def failing_checks(instance: dg.DagsterInstance, graph: AssetGraph, shards: set[str]) -> list[FailingCheck]:
    """By artefact and check. Of a shard that is there no more, what was said counts no more."""
    keys = sorted(graph.asset_check_keys, key=lambda key: key.to_user_string())
    latest = instance.event_log_storage.get_asset_check_partition_info(keys)  # one row a partition, not its history
    failing = []
    for info in sorted(latest, key=lambda info: (info.check_key.to_user_string(), info.partition_key or "")):
        if info.partition_key is not None and info.partition_key not in shards:
            continue
        if info.latest_execution_status == AssetCheckExecutionRecordStatus.FAILED:
            failing += _that_spoke(instance, info)
        elif info.latest_execution_status == AssetCheckExecutionRecordStatus.PLANNED:
            failing += _that_was_silent(instance, graph, info)
    return failing


def _that_spoke(instance: dg.DagsterInstance, info: AssetCheckPartitionInfo) -> Iterator[FailingCheck]:
    key, only = info.check_key, PartitionKeyFilter(key=info.partition_key)
    record = instance.event_log_storage.get_latest_asset_check_execution_by_key([key], only).get(key)
    said = record.evaluation if record else None
    if said is not None and not said.passed:  # None: it is being made again by now
        is_error = said.severity == dg.AssetCheckSeverity.ERROR
        holds = is_error and bool(said.blocking)
        yield _failing(info, said.severity.value, holds, said.description)


def _that_was_silent(
    instance: dg.DagsterInstance, graph: AssetGraph, info: AssetCheckPartitionInfo
) -> Iterator[FailingCheck]:
    run = instance.get_run_by_id(info.latest_planned_run_id)
    if run is None or run.status != dg.DagsterRunStatus.FAILURE:
        return
    events = instance.all_logs(run.run_id, of_type={dg.DagsterEventType.ASSET_MATERIALIZATION})
    made = {(event.dagster_event.asset_key, event.dagster_event.partition) for event in events if event.dagster_event}
    if (info.check_key.asset_key, info.partition_key) not in made:
        return
    holds = graph.get(info.check_key).blocking
    said = f"it could not be made, or was cut off: run {run.run_id} failed before it had spoken"
    yield _failing(info, "ERROR" if holds else "WARN", holds, said)


def _failing(info: AssetCheckPartitionInfo, severity: str, holds: bool, description: str | None) -> FailingCheck:
    asset = info.check_key.asset_key.to_user_string()
    return FailingCheck(info.check_key.name, asset, info.partition_key, severity, holds, description)
