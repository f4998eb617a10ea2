"""Dagster's history of one project: the finished runs, their events and logs, and the ticks that go.

    run 1  raw_dataset[train-a]       20 January     goes: the shard was made again on 3 March
    run 2  raw_dataset[train-b]       20 January     stays: it is the last materialization of train-b
    run 3  nli/raw_dataset[train-a]   20 January     not looked at: it belongs to another project of the instance

What the UI and the automation show of an asset is read from the last event of each of its partitions, so its run stays,
as do the last run of each check, and the last run that was to make a partition, which may have failed. Events without a
run, such as the versions of source files, stay: Dagster has no call that deletes them.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

import dagster as dg

from distill_dagster.assets.naming import Names
from distill_dagster.clearing.specs import Dated, Lot, Part, Rules, by_reason
from distill_dagster.lineage.stages import OBSERVED, STAGES
from distill_dagster.operations.dagster_internals import (
    AssetGraph,
    delete_run,
    last_check_runs,
    log_bytes,
    old_ticks,
    purge_ticks,
    unfinished_backfills,
)
from distill_dagster.operations.run_failures import JOB

TICKERS = ("observe_sources", "redistill", "alert", "redistill_schedule")
ENDED = [dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED]
PAGE = 1000  # runs or events that are read at a time
UNDER_WAY = "it is under way, or in the queue"
LAST = "it is the last materialization of a partition"
LAST_CHECK = "it is the last execution of a check"
LAST_TRY = "it is the last run that was to make a partition"
IN_BACKFILL = "its backfill goes on"
DECIDED = "it decided about a student that a release keeps"


@dataclass(slots=True)
class HistoryToClear:
    """What goes of an instance's history of one project. `graph` has the project's checks."""

    instance: dg.DagsterInstance
    names: Names
    graph: AssetGraph
    rules: Rules
    going: dict[str, Dated] = field(default_factory=dict)
    staying: list[tuple[str, Dated]] = field(default_factory=list)
    _tried: set[tuple[object, ...]] = field(default_factory=set)

    def look(self, decisions: set[str]) -> Part:
        """Look at all runs and ticks; `decisions` are the runs that decided about students which a release keeps."""
        last = dict.fromkeys(decisions, DECIDED)
        last |= dict.fromkeys(last_check_runs(self.instance, self.graph), LAST_CHECK)
        last |= dict.fromkeys(self._last_runs(), LAST)
        backfills = unfinished_backfills(self.instance)
        for record in self._own_runs():
            self._sort(record, last, backfills)
        ticks = [Dated("", None, _time(at)) for at in old_ticks(self.instance, self._tickers, self._before)]
        lots = [Lot.of("run", self.going.values()), *by_reason("run", self.staying), Lot.of("tick", ticks)]
        return Part(lots, lambda: self._delete(ticks))

    def _sort(self, record: dg.RunRecord, last: dict[str, str], backfills: set[str]) -> None:
        run, at = record.dagster_run, _ended(record)
        found = Dated(run.run_id, log_bytes(self.instance, run.run_id), at)
        if why := self._why_it_stays(run, at, last, backfills):
            self.staying.append((why, found))
        else:
            self.going[run.run_id] = found

    def _why_it_stays(
        self, run: dg.DagsterRun, ended: datetime, last: dict[str, str], backfills: set[str]
    ) -> str | None:
        is_last_try = self._is_last_try(run)  # asked of each run, as it counts what newer runs were to make
        if run.status not in ENDED:
            return UNDER_WAY
        if run.run_id in last:
            return last[run.run_id]
        if run.tags.get("dagster/backfill") in backfills:
            return IN_BACKFILL
        if is_last_try:
            return LAST_TRY
        return None if self.rules.is_old(ended) else f"it ended less than {self.rules.days:g} days ago"

    def _is_last_try(self, run: dg.DagsterRun) -> bool:
        """Whether no newer run was to make one of the partitions that it was to make, or is of the same job."""
        tags = run.tags
        over = tags.get("dagster/partition") or ("several" if "dagster/asset_partition_range_start" in tags else None)
        aims = {(key, over) for key in run.asset_selection or ()} or {(run.job_name,)}
        is_last = not aims <= self._tried
        self._tried |= aims
        return is_last

    def _own_runs(self) -> Iterator[dg.RunRecord]:
        """The runs of the project, newest first. Those that make or check assets of others too are not among them."""
        own, cursor = {self.names.key(item.name) for item in (*OBSERVED, *STAGES.values())}, None
        while records := self.instance.get_run_records(limit=PAGE, cursor=cursor):
            for record in records:
                run = record.dagster_run
                checks = (check.asset_key for check in run.asset_check_selection or ())
                keys = {*(run.asset_selection or ()), *checks}
                if keys <= own if keys else run.job_name == self.names.own(JOB):
                    yield record
            cursor = records[-1].dagster_run.run_id

    def _last_runs(self) -> Iterator[str]:
        """The run of the last materialization and of the last observation of each partition of each asset."""
        for name in (*(item.name for item in OBSERVED), *STAGES):
            for fetch in (self.instance.fetch_materializations, self.instance.fetch_observations):
                seen, cursor, has_more = set[str | None](), None, True
                while has_more:
                    page = fetch(self.names.key(name), limit=PAGE, cursor=cursor)
                    yield from _new(page.records, seen)
                    cursor, has_more = page.cursor, page.has_more

    @property
    def _tickers(self) -> list[str]:
        return [self.names.own(name) for name in TICKERS]

    @property
    def _before(self) -> float:
        return self.rules.now.timestamp() - self.rules.days * 86_400

    def _delete(self, ticks: list[Dated]) -> list[Lot]:
        """Delete the runs, oldest first, and the ticks."""
        for run_id in reversed(self.going):
            delete_run(self.instance, run_id)
        purge_ticks(self.instance, self._tickers, self._before)
        return [Lot.of("run", self.going.values()), Lot.of("tick", ticks)]


def _new(records: Sequence[dg.EventLogRecord], seen: set[str | None]) -> Iterator[str]:
    """The runs of the first event of each partition; the newest event comes first."""
    for record in records:
        if record.partition_key not in seen:
            seen.add(record.partition_key)
            yield record.run_id


def _ended(record: dg.RunRecord) -> datetime:
    return _time(record.end_time or record.update_timestamp.timestamp())


def _time(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
