"""What failed in a run, read from that run's own log: its checks, and the steps that raised.

A blocking check that fails also fails its step and the run; this counts as one failure, that of the check. The run of a
check that fails without blocking succeeds.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import dagster as dg

from distill_dagster.alerts.examples import example_rows
from distill_dagster.alerts.message import Example, Failure
from distill_dagster.assets.failures import OWN_RUNS, explain_step
from distill_dagster.assets.naming import Names
from distill_dagster.checks import CHECKS
from distill_dagster.errors import UserError
from distill_dagster.lineage.project import Project

EVENTS = {
    dg.DagsterEventType.ASSET_CHECK_EVALUATION,
    dg.DagsterEventType.ASSET_MATERIALIZATION,
    dg.DagsterEventType.STEP_FAILURE,
    dg.DagsterEventType.RUN_FAILURE,
}
BLOCKED = "DagsterAssetCheckFailedError"  # what Dagster raises if a blocking check failed
JOB = "redistill_job"
LONGEST_NUMBER = 60  # characters of a text among a check's metadata that counts as one


@dataclass(slots=True)
class Findings:
    """The findings of one run: its failures by key, and what it made or passed, in order, as (check or None, place)."""

    failures: dict[str, Failure] = field(default_factory=dict)
    repaired: list[tuple[str | None, str]] = field(default_factory=list)

    def add(self, failure: Failure) -> None:
        """Note a failure; of two evaluations of one check, the later counts."""
        self.failures[failure.key] = failure


def read_run(instance: dg.DagsterInstance, run: dg.DagsterRun, names: Names) -> Findings:
    """The findings of a run that ended; none if the run is not the project's."""
    findings, is_explained = Findings(), False
    if not is_own(instance, run, names):
        return findings
    asset_of = _assets_by_step(instance, run.run_id)
    for event in _events(instance, run.run_id):
        if event.event_type == dg.DagsterEventType.ASSET_CHECK_EVALUATION:
            _add_check(findings, event.asset_check_evaluation_data, run, names)
        elif event.event_type == dg.DagsterEventType.ASSET_MATERIALIZATION:
            made = event.step_materialization_data.materialization
            if asset := names.asset(made.asset_key):
                findings.repaired.append((None, place_of(asset, made.partition)))
        elif event.event_type == dg.DagsterEventType.STEP_FAILURE:
            is_explained = True
            step = event.step_key or run.job_name
            asset = names.asset(asset_of[step]) if step in asset_of else step
            if asset and not _is_blocked(event) and not _is_reported_elsewhere(event):
                findings.add(_run_failure(run, asset, explain_step(event)))
        elif not is_explained:  # the run's process died, or never began
            findings.add(_run_failure(run, _targets(run, names), event.message or "the run's process ended"))
    return findings


def _events(instance: dg.DagsterInstance, run_id: str) -> Iterator[dg.DagsterEvent]:
    for entry in instance.all_logs(run_id, of_type=EVENTS):
        if entry.dagster_event:
            yield entry.dagster_event


def _assets_by_step(instance: dg.DagsterInstance, run_id: str) -> dict[str, dg.AssetKey]:
    """Step -> the asset that it makes; with a `key_prefix`, a step is not named like its asset."""
    planned = instance.all_logs(run_id, of_type=dg.DagsterEventType.ASSET_MATERIALIZATION_PLANNED)
    events = [entry.dagster_event for entry in planned if entry.dagster_event]
    return {event.step_key: event.asset_key for event in events if event.step_key and event.asset_key}


def is_own(instance: dg.DagsterInstance, run: dg.DagsterRun, names: Names) -> bool:
    """Whether the run was meant to make or check an asset of the project, or belongs to its schedule.

    A project without a `key_prefix` also reports runs of other code in its instance, except those of other projects.
    """
    if run.job_name.endswith(JOB):
        return run.job_name == names.own(JOB)
    keys = {*(run.asset_selection or ()), *(check.asset_key for check in run.asset_check_selection or ())}
    keys = keys or set(_assets_by_step(instance, run.run_id).values())
    return any(names.asset(key) for key in keys) or (not keys and not names.prefix)


def _add_check(findings: Findings, evaluation: dg.AssetCheckEvaluation, run: dg.DagsterRun, names: Names) -> None:
    asset, shard = names.asset(evaluation.asset_key), evaluation.partition
    if asset is None:
        return
    if evaluation.passed:
        findings.repaired.append((evaluation.check_name, place_of(asset, shard)))
        return
    numbers = {
        name: value.value
        for name, value in evaluation.metadata.items()
        if isinstance(value.value, int | float) or (isinstance(value.value, str) and len(value.value) <= LONGEST_NUMBER)
    }
    is_error = evaluation.severity == dg.AssetCheckSeverity.ERROR
    findings.add(
        Failure(
            asset=asset,
            shard=shard,
            check=evaluation.check_name,
            severity="error" if is_error else "warn",
            description=evaluation.description or "",
            run_id=run.run_id,
            blocking=bool(evaluation.blocking) and is_error,
            numbers=numbers,
        )
    )


def with_examples(failure: Failure, project: Project) -> Failure:
    """The same failure with up to three rows that show it, if its check has any."""
    shows = {check.name: check.shows for check in CHECKS}.get(failure.check or "", ())
    try:
        examples = example_rows(project, failure.asset, failure.shard, shows)
    except (UserError, OSError, LookupError, ValueError) as e:  # the alert goes out without rows, and says why
        examples = [Example("example rows", "cannot be read", str(e))]
    return replace(failure, examples=tuple(examples))


def _run_failure(run: dg.DagsterRun, asset: str, description: str) -> Failure:
    return Failure(
        asset=asset,
        shard=run.tags.get("dagster/partition"),
        check=None,
        severity="error",
        description=description,
        run_id=run.run_id,
    )


def _is_blocked(event: dg.DagsterEvent) -> bool:
    error = event.step_failure_data.error
    return error is not None and BLOCKED in (error.cls_name, error.cause.cls_name if error.cause else None)


def _is_reported_elsewhere(event: dg.DagsterEvent) -> bool:
    """The schedule's job makes each artefact in a run of its own, and those runs report their own failures."""
    failure = event.step_failure_data.user_failure_data
    return failure is not None and OWN_RUNS in failure.metadata


def _targets(run: dg.DagsterRun, names: Names) -> str:
    """The assets that the run was to make, or its job."""
    own = (names.asset(key) or key.to_user_string() for key in run.asset_selection or ())
    return ", ".join(sorted(own)) or run.job_name


def place_of(asset: str, shard: str | None) -> str:
    """Where a failure is, as alerts remember it."""
    return Failure(asset, shard, None, "error", "", "").place
