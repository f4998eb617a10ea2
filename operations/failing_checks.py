"""Which checks fail now, from the last evaluation of each check on each shard.

    FailingCheck("enough_valid_rows", "raw_dataset", "train-part-03", "ERROR", holds=True, "30 of 50 rows …")

A check that was never evaluated, in a run that failed after it had published the artefact, also counts as failing,
because its result is unknown. If the artefact itself was not made, its checks had nothing to look at.
"""

from collections.abc import Collection, Iterator
from dataclasses import dataclass

import dagster as dg

from distill_dagster.assets.naming import Names
from distill_dagster.operations.dagster_internals import AssetCheckPartitionInfo, AssetGraph, last_checks, said_last


@dataclass(frozen=True, slots=True)
class FailingCheck:
    """A check that did not pass when it last ran."""

    check: str
    asset: str
    shard: str | None
    severity: str  # ERROR | WARN
    holds: bool  # whether it blocks all that reads the artefact
    description: str | None


def failing_checks(
    instance: dg.DagsterInstance, graph: AssetGraph, names: Names, shards: Collection[str]
) -> list[FailingCheck]:
    """The failing checks, by artefact and check; those of shards that are gone do not count."""
    failing = []
    for info, status in last_checks(instance, graph):
        if info.partition_key is None or info.partition_key in shards:
            found = _that_spoke(instance, info) if status == "failed" else _that_was_silent(instance, graph, info)
            failing += [_failing(info, names, *said) for said in found]
    return failing


def _that_spoke(instance: dg.DagsterInstance, info: AssetCheckPartitionInfo) -> Iterator[tuple[str, bool, str | None]]:
    said = said_last(instance, info)
    if said is not None and not said.passed:  # None: it is running again by now
        holds = said.severity == dg.AssetCheckSeverity.ERROR and bool(said.blocking)
        yield said.severity.value, holds, said.description


def _that_was_silent(
    instance: dg.DagsterInstance, graph: AssetGraph, info: AssetCheckPartitionInfo
) -> Iterator[tuple[str, bool, str | None]]:
    run = instance.get_run_by_id(info.latest_planned_run_id)
    if run is None or run.status != dg.DagsterRunStatus.FAILURE:
        return
    events = instance.all_logs(run.run_id, of_type={dg.DagsterEventType.ASSET_MATERIALIZATION})
    made = {(event.dagster_event.asset_key, event.dagster_event.partition) for event in events if event.dagster_event}
    if (info.check_key.asset_key, info.partition_key) not in made:
        return
    holds = graph.get(info.check_key).blocking
    yield "ERROR" if holds else "WARN", holds, f"it did not run: run {run.run_id} failed before it"


def _failing(
    info: AssetCheckPartitionInfo, names: Names, severity: str, holds: bool, description: str | None
) -> FailingCheck:
    asset = names.asset(info.check_key.asset_key) or info.check_key.asset_key.to_user_string()
    return FailingCheck(info.check_key.name, asset, info.partition_key, severity, holds, description)
