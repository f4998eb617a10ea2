"""The sensor that alerts people when something failed.

It reads every run of the instance that ended, no matter what started it: the daemon, the UI, `dg launch` or
`distill-dagster run`. The failures of one look go out as one message, so that a run with five failed checks alerts
people once, and twenty shards that fail together do too.

Dagster's run status sensors see the same runs. But they skip a run for good if they fail on it, lose their place when
they are renamed or reset, read five runs a tick, and have no tick in which to repeat a delivery. This sensor queries
the run storage, and records in the store which runs it has read.
"""

import logging
import os
import time
from datetime import UTC, datetime

import dagster as dg

from distill_dagster.alerts.delivery import addresses
from distill_dagster.alerts.memory import ALERTS_FILE, Memory
from distill_dagster.alerts.message import DETAILED, Failure, by_severity, compose
from distill_dagster.alerts.outbox import deliver_due, state_of
from distill_dagster.alerts.releases import compose_decisions, new_decisions
from distill_dagster.assets.naming import Names
from distill_dagster.config import DistillConfig
from distill_dagster.errors import UserError
from distill_dagster.lineage.project import Project
from distill_dagster.operations.run_failures import read_run, with_examples
from distill_dagster.store.disk import room_for
from distill_dagster.store.documents import LockedError

TICK_SECONDS = 15
LOOK_BACK = 3600.0  # seconds before the last look from which a run may still appear: clocks differ, commits are late
RUNS_A_TICK = 100
ENDED = [dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED]


def alert_sensor(config: DistillConfig) -> dg.SensorDefinition:
    """The sensor; it runs if `alerts.enabled` is set and there is an address: without one, each tick would log that."""
    names, running, stopped = Names.of(config), dg.DefaultSensorStatus.RUNNING, dg.DefaultSensorStatus.STOPPED
    is_heard = config.alerts.enabled and addresses(os.environ, config.alerts.urls_from)
    resource = names.own("project")

    @dg.sensor(
        name=names.own("alert"),
        description="Alerts people when a check or a run of the project fails, once each.",
        minimum_interval_seconds=TICK_SECONDS,
        default_status=running if is_heard else stopped,
        required_resource_keys={resource},
    )
    def alert(context: dg.SensorEvaluationContext) -> dg.SkipReason:
        project: Project = getattr(context.resources, resource).value
        try:
            with room_for(project.store.root):
                return dg.SkipReason(send_alerts(context.instance, project, time.time(), context.log))
        except UserError as e:
            return dg.SkipReason(str(e))

    return alert


def send_alerts(instance: dg.DagsterInstance, project: Project, now: float, log: logging.Logger) -> str:
    """Look at the runs once, and deliver what waits; returns what was found, in one line.

    `now` is seconds since 1970. Without an address no run is read, so that none is missed later.

    Raises:
        DataError: the memory in the store is damaged.
    """
    variable = project.config.alerts.urls_from
    urls = addresses(os.environ, variable)
    if not urls:
        return f"nobody is alerted: {variable} holds no address, see docs/alerts.md"
    try:
        with project.state.locked(f".{ALERTS_FILE}.lock", wait=False):
            memory = Memory.load(project.state, now)
            failures = look(instance, project, memory, now)
            if failures:
                shown = [with_examples(failure, project) for failure in by_severity(failures)[:DETAILED]]
                shown += by_severity(failures)[DETAILED:]
                memory.write(compose(project.config.name, shown, project.config.alerts.ui_url), list(urls), now)
            if decisions := new_decisions(project, memory):
                alerts = project.config.alerts
                memory.write(compose_decisions(project.config.name, decisions, alerts.ui_url), list(urls), now)
            memory.save()
            arrived = deliver_due(memory, urls, now, log)
    except LockedError:
        return "another process is sending alerts"
    decided = [f"{len(decisions)} decisions on releases"] if decisions else []
    counts = ", ".join([f"{len(failures)} new failures", *decided, f"{arrived} deliveries"])
    found = counts if failures or decisions or arrived else "nothing new"
    return "; ".join(filter(None, [found, state_of(memory)]))


def look(instance: dg.DagsterInstance, project: Project, memory: Memory, now: float) -> list[Failure]:
    """New failures since the last look, in the order in which their runs ended; records them in `memory`."""
    config, names, news = project.config.alerts, Names.of(project.config), dict[str, Failure]()
    window = memory.since - LOOK_BACK
    records, all_seen = _ended_runs(instance, memory, window)
    for record in records:
        ended = record.end_time or record.update_timestamp.timestamp()
        memory.runs[record.dagster_run.run_id] = ended
        if ended < window:
            continue  # an old run whose record changed for another reason
        findings = read_run(instance, record.dagster_run, names)
        for check, place in findings.repaired:
            memory.repaired(check, place)
        for key, failure in findings.failures.items():
            loud = failure.severity == "error" or config.severity == "warn"
            if loud and memory.is_news(failure, now, config.repeat_hours):
                memory.sent[key] = now
                news[key] = failure
    if all_seen:
        memory.since = now
    memory.forget(memory.since - LOOK_BACK, now)
    return list(news.values())


def _ended_runs(instance: dg.DagsterInstance, memory: Memory, after: float) -> tuple[list[dg.RunRecord], bool]:
    """Runs that were not read yet, and whether these are all of them."""
    ids = instance.get_run_ids(dg.RunsFilter(statuses=ENDED, updated_after=datetime.fromtimestamp(after, UTC)))
    unseen = [run_id for run_id in reversed(ids) if run_id not in memory.runs]
    if not unseen:
        return [], True
    records = instance.get_run_records(dg.RunsFilter(run_ids=unseen[:RUNS_A_TICK]))
    return sorted(records, key=lambda record: record.end_time or 0), len(unseen) <= RUNS_A_TICK
