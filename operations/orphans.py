"""Ends runs whose process is gone. After a crash or a power cut, they would count as started for ever.

Dagster's launcher for one machine does not watch the processes that it starts. A run that was killed keeps its place in
its pool, and its assets count as being made, so that nobody requests them again. The sensor of source files ends such
runs; `run_retries` in dagster.yaml then starts them again.

Where the database is a file on this machine, all processes are here. Where it is a server, a run's process may be on
another machine: only runs with the tag of this one, or of this container, are looked at. Two containers with the same
hostname would each take the other's processes for gone.
"""

import dagster as dg
import psutil

from distill_dagster.assets.run_tags import HOST, host

UNDER_WAY = [dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.CANCELING]
EARLIEST = 1.0  # seconds by which a process may seem younger than its first event: their clocks are read separately


def end_orphans(instance: dg.DagsterInstance) -> list[str]:
    """Report runs whose process is gone as failed; returns their ids."""
    ended = []
    for run, pid in find_orphans(instance):
        instance.report_run_failed(run, f"its process (pid {pid}) is gone: killed, or the machine went down")
        ended.append(run.run_id)
    return ended


def find_orphans(instance: dg.DagsterInstance) -> list[tuple[dg.DagsterRun, int]]:
    """The runs under way whose process is gone, each with the id of that process."""
    from distill_dagster.operations.dagster_internals import is_on_this_machine

    own = {} if is_on_this_machine(instance) else {HOST: host()[HOST]}
    found = []
    for record in instance.get_run_records(dg.RunsFilter(statuses=UNDER_WAY, tags=own)):
        process = _process_of(instance, record.dagster_run.run_id)
        if process is not None and not _is_alive(*process):
            found.append((record.dagster_run, process[0]))
    return found


def _process_of(instance: dg.DagsterInstance, run_id: str) -> tuple[int, float] | None:
    """The process id, and the time of the event that reports it (seconds since 1970); None before that event."""
    for entry in instance.all_logs(run_id, of_type=dg.DagsterEventType.ENGINE_EVENT):
        pid = entry.dagster_event.engine_event_data.metadata.get("pid") if entry.dagster_event else None
        if pid is not None:
            return int(str(pid.value)), entry.timestamp
    return None


def _is_alive(pid: int, at_work: float) -> bool:
    """Whether the process exists, and is not a later one with the same id."""
    try:
        process = psutil.Process(pid)
        return process.status() != psutil.STATUS_ZOMBIE and process.create_time() <= at_work + EARLIEST
    except psutil.NoSuchProcess:
        return False
