"""The only module that uses private parts of Dagster, each with the reason why no public one will do.

Everything else in this repository uses what Dagster exports.
"""

import logging
import time
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path

import dagster as dg
from dagster._core.definitions.assets.graph.asset_graph import AssetGraph
from dagster._core.event_api import PartitionKeyFilter
from dagster._core.events import StepMaterializationData
from dagster._core.instance.utils import RUNLESS_JOB_NAME, RUNLESS_RUN_ID
from dagster._core.scheduler.instigation import InstigatorStatus, TickStatus
from dagster._core.storage.asset_check_execution_record import AssetCheckExecutionRecordStatus, AssetCheckPartitionInfo

__all__ = [
    "AssetCheckPartitionInfo",
    "AssetGraph",
    "delete_run",
    "is_on_this_machine",
    "last_check_runs",
    "last_checks",
    "log_bytes",
    "log_runs_with",
    "old_ticks",
    "purge_ticks",
    "report_materializations",
    "said_last",
    "switched",
    "unfinished_backfills",
]
ENDED = [TickStatus.SKIPPED, TickStatus.SUCCESS, TickStatus.FAILURE]


def is_on_this_machine(instance: dg.DagsterInstance) -> bool:
    """Whether the instance's database is a file on this machine. No public name says where it is.

    The import is inside, because it would add 0.8 s to the loading of the code location.
    """
    from dagster._core.storage.runs import SqliteRunStorage

    return isinstance(instance.run_storage, SqliteRunStorage)


def last_checks(instance: dg.DagsterInstance, graph: AssetGraph) -> Iterator[tuple[AssetCheckPartitionInfo, str]]:
    """The last execution of each check on each partition, with "failed" or "planned"; those that passed are left out.

    No public call gives the last execution by partition; this one returns a row a partition, not its history.
    """
    keys = sorted(graph.asset_check_keys, key=lambda key: key.to_user_string())
    found = instance.event_log_storage.get_asset_check_partition_info(keys)
    words = {
        AssetCheckExecutionRecordStatus.FAILED: "failed",
        AssetCheckExecutionRecordStatus.PLANNED: "planned",
    }
    for info in sorted(found, key=lambda info: (info.check_key.to_user_string(), info.partition_key or "")):
        if info.latest_execution_status in words:
            yield info, words[info.latest_execution_status]


def said_last(instance: dg.DagsterInstance, info: AssetCheckPartitionInfo) -> dg.AssetCheckEvaluation | None:
    """The last evaluation of a check on a partition. The filter for one partition has no public name."""
    only = PartitionKeyFilter(key=info.partition_key)
    found = instance.event_log_storage.get_latest_asset_check_execution_by_key([info.check_key], only)
    record = found.get(info.check_key)
    return record.evaluation if record else None


def switched(instance: dg.DagsterInstance) -> dict[str, bool]:
    """The sensors and schedules that somebody switched in the UI -> whether they are on. The status has no public name.

    An instance without a schedule storage, such as an ephemeral one, has no switches.
    """
    return {
        state.instigator_name: state.status == InstigatorStatus.RUNNING
        for state in (instance.all_instigator_state() if instance.schedule_storage else [])
        if state.status in (InstigatorStatus.RUNNING, InstigatorStatus.STOPPED)
    }


def report_materializations(instance: dg.DagsterInstance, events: Sequence[dg.AssetMaterialization]) -> None:
    """Report materializations of one asset that belong to no run, in one write where the storage has one.

    `DagsterInstance.report_runless_asset_event` takes them one by one: on PostgreSQL, 11 to 40 ms each, not 1.5.
    """
    if events:
        instance.event_log_storage.store_event_batch([_runless(event) for event in events])


def _runless(event: dg.AssetMaterialization) -> dg.EventLogEntry:
    return dg.EventLogEntry(
        user_message="",
        level=logging.INFO,
        job_name=RUNLESS_JOB_NAME,
        run_id=RUNLESS_RUN_ID,
        error_info=None,
        timestamp=time.time(),
        step_key=None,
        dagster_event=dg.DagsterEvent(
            event_type_value=dg.DagsterEventType.ASSET_MATERIALIZATION.value,
            event_specific_data=StepMaterializationData(event),
            job_name=RUNLESS_JOB_NAME,
        ),
    )


def last_check_runs(instance: dg.DagsterInstance, graph: AssetGraph) -> set[str]:
    """The runs of the last execution of each check on each partition; see `last_checks`."""
    keys = sorted(graph.asset_check_keys, key=lambda key: key.to_user_string())
    return {found.latest_planned_run_id for found in instance.event_log_storage.get_asset_check_partition_info(keys)}


def unfinished_backfills(instance: dg.DagsterInstance) -> set[str]:
    """The ids of the backfills that go on, or were asked for: what they have to do is read from their runs."""
    from dagster._core.execution.backfill import BulkActionsFilter, BulkActionStatus

    going_on = [BulkActionStatus.REQUESTED, BulkActionStatus.CANCELING, BulkActionStatus.FAILING]
    return {found.backfill_id for found in instance.get_backfills(filters=BulkActionsFilter(statuses=going_on))}


def log_bytes(instance: dg.DagsterInstance, run_id: str) -> int | None:
    """Bytes of a run's events, where they are in a file of their own; else None."""
    files = _event_files(instance, run_id)
    return sum(file.stat().st_size for file in files) if files else None


def delete_run(instance: dg.DagsterInstance, run_id: str) -> None:
    """Delete a run's logs and events, and then the run.

    `DagsterInstance.delete_run` deletes the run first: a process that is killed in between would leave events that no
    run leads to. In SQLite it also leaves the file of the run's events, which has 100 KB without any, and fails where
    another process has deleted that.
    """
    from dagster._core.storage.event_log import SqliteEventLogStorage

    instance.compute_log_manager.delete_logs(prefix=[run_id])
    storage = instance.event_log_storage
    if isinstance(storage, SqliteEventLogStorage):
        with storage.index_connection() as events_of_all_runs:
            storage.delete_events_for_run(events_of_all_runs, run_id)
        for file in _event_files(instance, run_id):
            file.unlink(missing_ok=True)
    else:
        storage.delete_events(run_id)
    instance.run_storage.delete_run(run_id)


def _event_files(instance: dg.DagsterInstance, run_id: str) -> list[Path]:
    """The files that SQLite keeps for the events of one run."""
    from dagster._core.storage.event_log import SqliteEventLogStorage

    storage = instance.event_log_storage
    if not isinstance(storage, SqliteEventLogStorage):
        return []
    path = Path(storage.path_for_shard(run_id))
    return [file for file in path.parent.glob(f"{path.name}*") if file.is_file()]


def old_ticks(instance: dg.DagsterInstance, names: Collection[str], before: float) -> list[float]:
    """The times of the ended ticks of these sensors and schedules before a time, without the last tick of each."""
    return [
        tick.timestamp
        for origin, selector, until in _tickers(instance, names, before)
        for tick in instance.get_ticks(origin, selector, before=until, statuses=ENDED)
    ]


def purge_ticks(instance: dg.DagsterInstance, names: Collection[str], before: float) -> None:
    """Delete them. Neither the ticks of a sensor nor their deletion has a public name."""
    for origin, selector, until in _tickers(instance, names, before):
        instance.purge_ticks(origin, selector, until, ENDED)


def _tickers(instance: dg.DagsterInstance, names: Collection[str], before: float) -> Iterator[tuple[str, str, float]]:
    """What identifies each sensor and schedule, and the time before which its ticks are old."""
    for state in instance.all_instigator_state() if instance.schedule_storage else []:
        if state.instigator_name in names:
            origin, selector = state.instigator_origin_id, state.selector_id
            for tick in instance.get_ticks(origin, selector, limit=1):
                yield origin, selector, min(before, tick.timestamp)


def log_runs_with(logger: dg.LoggerDefinition) -> None:
    """Let a run of this process whose config names no logger use this one in place of Dagster's coloured one.

    Loggers of `dg.Definitions` are used only by runs whose config names them.
    """
    from dagster._core.execution import context_creation_job

    def loggers(instance: dg.DagsterInstance | None) -> list[tuple[dg.LoggerDefinition, dict[str, str]]]:
        level = instance.python_log_level if instance else None
        return [(logger, {"name": "dagster", "log_level": level or "DEBUG"})]

    context_creation_job.default_system_loggers = loggers
