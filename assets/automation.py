"""When Dagster acts by itself: it looks at the source files, and re-makes what a change made stale.

Dagster's stock conditions forget a change that arrives while the asset is running: the latch that remembers it
is reset by that older run's end. `rerun_when_inputs_change` is reset only when a run is asked for, so the change
survives; and one that arrives between that tick and the next, when the reset is seen, is a reason of its own to ask
again. Its price is that a manual run is not noticed, and asked for once more: every asset here returns in
seconds where its inputs are unchanged.

What follows waits for more than the request: until the artefact was made, since a run that fails makes nothing, and
until the blocking checks of it have passed, since a check that crashed has not looked.
"""

import dagster as dg

from assets.orphans import end_orphans
from assets.partitions import observe
from distill_dagster.config import AutomationConfig
from distill_dagster.errors import UserError
from distill_dagster.plan import list_steps
from resources.project import ProjectResource

AC = dg.AutomationCondition
OWN_RUNS = "failed_in_runs_of_their_own"


def rerun_when_inputs_change() -> dg.AutomationCondition:
    """True when the asset is missing, or a dependency's data version moved since it was last asked for.

    Held back while the asset or a dependency is being made, while a dependency is missing or was not yet made of a
    change of its own inputs or settings (nobody has asked for it, or its run failed or was cancelled), and while a
    blocking check of a dependency fails, has crashed, or has yet to say. A blocking check that nobody ran on what is
    there holds nothing back: it was added or switched on since, and a tick asks for no check alone.
    """
    moved = AC.any_deps_match(AC.data_version_changed()) | AC.code_version_changed()
    wanted = _until_requested(moved | AC.newly_missing())
    waiting = AC.any_deps_match(_until_made(moved))  # a dependency has its own inputs to catch up with first
    # `any_deps_missing` would not do: it lets what is missing go out in one run with all that follows
    settled = ~AC.in_progress() & ~AC.any_deps_match(AC.missing() | AC.in_progress())
    # not `check_failed`: a check whose run died, or was cancelled, has neither failed nor passed
    checked = ~AC.any_deps_match(AC.any_checks_match(~(AC.check_passed() | AC.missing()), blocking_only=True))
    # `~waiting` comes first: a later operand is not evaluated where an earlier one is false, and misses changes then
    return (~waiting & wanted & settled & checked).with_label("rerun_when_inputs_change")


def _until_requested(cause: dg.AutomationCondition) -> dg.AutomationCondition:
    """True from `cause` on until a run was asked for.

    That a run was asked for is seen at the next tick. A cause that has come up by then is newer than the request, and
    the run may have read its inputs before it: it stays, where Dagster would let the reset win the tie.
    """
    return cause.since(~cause & AC.newly_requested())


def _until_made(cause: dg.AutomationCondition) -> dg.AutomationCondition:
    """True from `cause` on until a run was asked for and the asset was made after that, by this run or by another."""
    unasked = _until_requested(cause)
    # not `~unasked & newly_updated`: Dagster keeps the memory of a `since` under the names of its operands' outermost
    # operators, so that it would share that of `_until_requested`
    return unasked | cause.since(~(unasked | ~AC.newly_updated()))


@dg.op(description="Makes everything that is stale, in the order of the lineage; each artefact in a run of its own.")
def bring_up_to_date(context: dg.OpExecutionContext, project: ProjectResource) -> None:
    """As `distill-dagster run`.

    Raises:
        dg.Failure: something could not be made; what it was stands in the message, the rest is made.
    """
    from distill_dagster.cli.execution import Runner  # which builds the definitions that this job is part of

    say = {"made": context.log.info, "failed": context.log.error}
    runner = Runner(project.value.config, context.instance, lambda title, state: say.get(state, _nothing)(title))
    outcome = runner.run()
    context.log.info(f"made {len(outcome.materialized)}, up to date {len(outcome.skipped)}")
    if outcome.failed:
        why = "; ".join(f"{title}: {why}" for title, why in outcome.failed.items())
        raise dg.Failure(why, metadata={OWN_RUNS: len(outcome.failed)}, allow_retries=False)


def _nothing(_: str) -> None:
    """What is said of an artefact that is up to date."""


@dg.job(description="Re-distils what is stale, when `automation.cron` says so or somebody launches it.")
def redistill_job() -> None:
    """One op, so that a run of it reads as one thing."""
    bring_up_to_date()


def redistill_schedule(config: AutomationConfig) -> dg.ScheduleDefinition:
    """Launches `redistill_job` where something is stale; where nothing is, the tick says so and launches nothing."""

    @dg.schedule(
        name="redistill_schedule",
        job=redistill_job,
        cron_schedule=config.cron or "0 3 * * *",
        execution_timezone=config.timezone,
        default_status=dg.DefaultScheduleStatus.RUNNING if config.cron else dg.DefaultScheduleStatus.STOPPED,
        description="Re-distils what is stale; runs where `automation.cron` is set.",
    )
    def redistill(project: ProjectResource) -> dg.RunRequest | dg.SkipReason:
        try:
            stale = [step for step in list_steps(project.value) if step.state != "fresh"]
        except UserError as e:
            return dg.SkipReason(str(e))
        return dg.RunRequest() if stale else dg.SkipReason("nothing is stale")

    return redistill


def automation_sensors(config: AutomationConfig) -> list[dg.SensorDefinition]:
    """The sensor that observes source files, and the one that evaluates the conditions of all assets."""
    running, stopped = dg.DefaultSensorStatus.RUNNING, dg.DefaultSensorStatus.STOPPED
    interval = config.observe_seconds - 1  # the daemon's own loop takes five seconds, and is at times a little early

    @dg.sensor(
        name="observe_sources",
        description="Adds partitions for new source files, reports changed ones, and ends runs whose process is gone.",
        minimum_interval_seconds=interval,
        default_status=running,
    )
    def observe_sources(context: dg.SensorEvaluationContext, project: ProjectResource) -> dg.SkipReason:
        try:
            for run_id in end_orphans(context.instance):
                context.log.warning(f"run {run_id} is ended: its process is gone")
            changed = observe(context.instance, project.value, context.log.warning)
        except UserError as e:
            return dg.SkipReason(str(e))
        return dg.SkipReason(f"changed: {', '.join(changed)}" if changed else "no source file changed")

    automatic = dg.AutomationConditionSensorDefinition(
        "redistill",
        target=dg.AssetSelection.all(),
        default_status=running if config.enabled else stopped,
        minimum_interval_seconds=interval,
        emit_backfills=False,  # their daemon looks twice a minute: two shards would wait for it twice a stage
    )
    return [observe_sources, automatic]
