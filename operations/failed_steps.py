"""The steps whose last run failed, with the error that ended it: what `distill-dagster status` tells of them.

A step counts as failed until it is made. The instance's newest `MOST_RUNS` failed runs are looked at; the logs of those
that were to make something that is up to date by now are not read.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

import dagster as dg

from distill_dagster.assets.naming import Names
from distill_dagster.lineage.snapshot import Snapshot
from distill_dagster.operations.run_failures import read_run
from distill_dagster.planning.steps import Step
from distill_dagster.store.manifest import title_of

MOST_RUNS = 200
INTERRUPTED = "DagsterExecutionInterruptedError"  # Ctrl-C: the user knows


@dataclass(frozen=True, slots=True)
class FailedStep:
    """A step that was tried and not made."""

    artefact: str
    error: str
    run_id: str
    failed_at: str  # ISO 8601


def failed_steps(instance: dg.DagsterInstance, look: Snapshot, steps: list[Step]) -> list[FailedStep]:
    """The steps that are not up to date and whose last run failed, in the order of the lineage."""
    names = Names.of(look.config)
    still_open = {(step.asset, step.shard) for step in steps if not step.is_fresh}
    found: dict[tuple[str, str | None], FailedStep] = {}
    for record in _failed_runs(instance) if still_open else ():
        if _may_concern(record.dagster_run, names, still_open):
            for place, failed in _errors_of(instance, record, names):
                if place in still_open and place not in found and not _made_since(look, place, record):
                    found[place] = failed
    return [found[step.asset, step.shard] for step in steps if (step.asset, step.shard) in found]


def _failed_runs(instance: dg.DagsterInstance) -> list[dg.RunRecord]:
    """The newest failed runs, newest first."""
    return list(instance.get_run_records(dg.RunsFilter(statuses=[dg.DagsterRunStatus.FAILURE]), limit=MOST_RUNS))


def _may_concern(run: dg.DagsterRun, names: Names, still_open: set[tuple[str, str | None]]) -> bool:
    """Whether a run was to make a step that is not up to date; True if it does not say what it was to make."""
    shard = run.tags.get("dagster/partition")
    assets = {names.asset(key) for key in run.asset_selection or ()}
    return not assets or any((asset, key) in still_open for asset in assets if asset for key in (shard, None))


def _errors_of(
    instance: dg.DagsterInstance, record: dg.RunRecord, names: Names
) -> Iterator[tuple[tuple[str, str | None], FailedStep]]:
    at = datetime.fromtimestamp(record.end_time or record.update_timestamp.timestamp(), UTC)
    for failure in read_run(instance, record.dagster_run, names).failures.values():
        if failure.check is None and INTERRUPTED not in failure.description:
            title = title_of(failure.asset, failure.shard)
            error = FailedStep(title, failure.description, failure.run_id, at.isoformat(timespec="seconds"))
            yield (failure.asset, failure.shard), error


def _made_since(look: Snapshot, place: tuple[str, str | None], record: dg.RunRecord) -> bool:
    """Whether the artefact was published after that run, and became stale again."""
    manifest = look.find(*place)
    if manifest is None or record.end_time is None:
        return False
    return datetime.fromisoformat(manifest.created_at).timestamp() > record.end_time
