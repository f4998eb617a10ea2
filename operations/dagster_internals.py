"""The only module that uses private parts of Dagster, each with the reason why no public one will do.

Everything else in this repository uses what Dagster exports.
"""

import logging
import time
from collections.abc import Iterator, Sequence

import dagster as dg
from dagster._core.definitions.assets.graph.asset_graph import AssetGraph
from dagster._core.event_api import PartitionKeyFilter
from dagster._core.events import StepMaterializationData
from dagster._core.instance.utils import RUNLESS_JOB_NAME, RUNLESS_RUN_ID
from dagster._core.scheduler.instigation import InstigatorStatus
from dagster._core.storage.asset_check_execution_record import AssetCheckExecutionRecordStatus, AssetCheckPartitionInfo

__all__ = [
    "AssetCheckPartitionInfo",
    "AssetGraph",
    "is_on_this_machine",
    "last_checks",
    "log_runs_with",
    "report_materializations",
    "said_last",
    "switched",
]


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


def log_runs_with(logger: dg.LoggerDefinition) -> None:
    """Let a run of this process whose config names no logger use this one in place of Dagster's coloured one.

    Loggers of `dg.Definitions` are used only by runs whose config names them.
    """
    from dagster._core.execution import context_creation_job

    def loggers(instance: dg.DagsterInstance | None) -> list[tuple[dg.LoggerDefinition, dict[str, str]]]:
        level = instance.python_log_level if instance else None
        return [(logger, {"name": "dagster", "log_level": level or "DEBUG"})]

    context_creation_job.default_system_loggers = loggers
