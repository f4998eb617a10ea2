"""What failed in a run, read from that run's own log: its checks, and the steps that raised.

A blocking check that fails also fails its step and the run: that is one failure, the check's. A check that fails
without blocking stands in the log of a run that succeeded.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import dagster as dg

from distill_dagster.alerts.examples import example_rows
from distill_dagster.alerts.message import Example, Failure
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
BLOCKED = "DagsterAssetCheckFailedError"  # what Dagster raises where a blocking check failed
OWN_RUNS = "failed_in_runs_of_their_own"  # marks a step whose artefacts each failed in a run of its own
LONGEST_NUMBER = 60  # characters of a text among a check's metadata that counts as one


@dataclass(slots=True)
class Findings:
    """What one run says: its failures by key, and what it made or found in order, as (check or None, place)."""

    failures: dict[str, Failure] = field(default_factory=dict)
    repaired: list[tuple[str | None, str]] = field(default_factory=list)

    def add(self, failure: Failure) -> None:
        """Note a failure; of two evaluations of one check, the later counts."""
        self.failures[failure.key] = failure


def read_run(instance: dg.DagsterInstance, run: dg.DagsterRun, names: Names) -> Findings:
    """The findings of a run that ended; none where the run is not the project's."""
    findings, is_explained = Findings(), False
    if not _is_own(instance, run, names):
        return findings
    for event in _events(instance, run.run_id):
        if event.event_type == dg.DagsterEventType.ASSET_CHECK_EVALUATION:
            _add_check(findings, event.asset_check_evaluation_data, run, names)
        elif event.event_type == dg.DagsterEventType.ASSET_MATERIALIZATION:
            made = event.step_materialization_data.materialization
            if asset := names.asset(made.asset_key):
                findings.repaired.append((None, place_of(asset, made.partition)))
        elif event.event_type == dg.DagsterEventType.STEP_FAILURE:
            is_explained = True
            if not _is_blocked(event) and not _is_told_elsewhere(event):
                findings.add(_run_failure(run, event.step_key or run.job_name, explain_step(event)))
        elif not is_explained:  # the run's process died, or never began
            findings.add(_run_failure(run, _targets(run, names), event.message or "the run's process ended"))
    return findings


def explain_step(event: dg.DagsterEvent) -> str:
    """Why a step failed, in the words of the error that ended it."""
    failure = event.step_failure_data
    if failure.user_failure_data and failure.user_failure_data.description:
        return failure.user_failure_data.description
    error = failure.error.cause if failure.error and failure.error.cause else failure.error
    where = f" (in {error.stack[-1].strip().splitlines()[0]})" if error and error.stack else ""
    return f"{error.message.strip()}{where}" if error else "the step failed; its log is in the Dagster UI"


def _events(instance: dg.DagsterInstance, run_id: str) -> Iterator[dg.DagsterEvent]:
    for entry in instance.all_logs(run_id, of_type=EVENTS):
        if entry.dagster_event:
            yield entry.dagster_event


def _is_own(instance: dg.DagsterInstance, run: dg.DagsterRun, names: Names) -> bool:
    """Whether the run was to make or check an asset of the project, or is its schedule's.

    A project without a `key_prefix` also hears of what other code runs in its instance, except for other projects.
    """
    if run.job_name == names.own("redistill_job"):
        return True
    keys = {*(run.asset_selection or ()), *(check.asset_key for check in run.asset_check_selection or ())}
    if not keys:
        planned = instance.all_logs(run.run_id, of_type=dg.DagsterEventType.ASSET_MATERIALIZATION_PLANNED)
        keys = {entry.dagster_event.asset_key for entry in planned if entry.dagster_event}
    return any(names.asset(key) for key in keys if key) or (not keys and not names.prefix)


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
    """The same failure with up to three rows that show it, where its check has such."""
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


def _is_told_elsewhere(event: dg.DagsterEvent) -> bool:
    """The schedule's job makes each artefact in a run of its own, and those that failed are told themselves."""
    failure = event.step_failure_data.user_failure_data
    return failure is not None and OWN_RUNS in failure.metadata


def _targets(run: dg.DagsterRun, names: Names) -> str:
    """The assets that the run was to make, or its job."""
    own = (names.asset(key) or key.to_user_string() for key in run.asset_selection or ())
    return ", ".join(sorted(own)) or run.job_name


def place_of(asset: str, shard: str | None) -> str:
    """Where a failure is, as alerts remember it."""
    return Failure(asset, shard, None, "error", "", "").place
