"""Re-distillation on a schedule: a job that makes everything that is stale, and the schedule that launches it."""

import dagster as dg

from distill_dagster.assets.failures import OWN_RUNS
from distill_dagster.assets.naming import Names
from distill_dagster.assets.run_tags import BECAUSE, INVOCATION, host, short
from distill_dagster.config import DistillConfig
from distill_dagster.errors import PreflightError, UserError
from distill_dagster.lineage.snapshot import Snapshot
from distill_dagster.lineage.stages import stages_of
from distill_dagster.operations.run_failures import JOB
from distill_dagster.operations.runner import Runner, Say
from distill_dagster.planning.steps import list_steps


def redistill_job(config: DistillConfig, lineage: dg.Definitions) -> dg.JobDefinition:
    """The job that makes everything that is stale; one op, so that its run reads as one thing.

    `lineage` holds the project's assets and checks. Each artefact is made in a run of its own.
    """
    names = Names.of(config)
    resource, stages = names.own("project"), [stage.name for stage in stages_of(config)]
    until = dg.Enum(names.own("last_asset"), [dg.EnumValue(name) for name in stages])

    @dg.op(
        name=names.own("bring_up_to_date"),
        description="Makes everything that is stale, in the order of the lineage; each artefact in a run of its own.",
        required_resource_keys={resource},
        config_schema={"until": dg.Field(until, default_value=stages[-1], description="the last asset to make")},
    )
    def bring_up_to_date(context: dg.OpExecutionContext) -> None:
        look, last = Snapshot(getattr(context.resources, resource).value), context.op_config["until"]
        context.instance.add_run_tags(context.run_id, host())
        _require_that_it_can_work(look, last)
        invocation = f"{context.run.tags.get(INVOCATION, 'launched by hand')}: job {names.own(JOB)}"
        outcome = Runner(look, lineage, context.instance, _say_to(context.log), invocation).run(last)
        context.log.info(f"made {len(outcome.materialized)}, up to date {len(outcome.skipped)}")
        if outcome.failed:
            why = "; ".join(f"{title}: {why}" for title, why in outcome.failed.items())
            raise dg.Failure(why, metadata={OWN_RUNS: len(outcome.failed)}, allow_retries=False)

    @dg.job(
        name=names.own(JOB),
        description="Re-distils what is stale, when `automation.cron` says so or somebody launches it.",
    )
    def redistill_job() -> None:
        bring_up_to_date()

    return redistill_job


def _require_that_it_can_work(look: Snapshot, last: str) -> None:
    """End the run if the preflight finds that it cannot work."""
    from distill_dagster.preflight.look import preflight  # inside: it adds 0.1 s to the loading of the location
    from distill_dagster.preflight.requirement import errors_of

    if errors := errors_of(preflight(look, list_steps(look), whole=False, until=last)):
        raise dg.Failure(str(PreflightError.of([e.found for e in errors])), allow_retries=False)


def _say_to(log: dg.DagsterLogManager) -> Say:
    """Says in the run's log what is made, failed or held."""
    levels = {"made": log.info, "failed": log.error, "held": log.warning}

    def say(title: str, state: str, why: str) -> None:
        if state in levels:
            levels[state](f"{state} {title}" + (f": {why}" if why else ""))

    return say


def redistill_schedule(config: DistillConfig, job: dg.JobDefinition) -> dg.ScheduleDefinition:
    """The schedule. It launches the job if something is stale; if not, the tick says so."""
    names, automation = Names.of(config), config.automation
    resource = names.own("project")

    @dg.schedule(
        name=names.own("redistill_schedule"),
        job=job,
        cron_schedule=automation.cron or "0 3 * * *",
        execution_timezone=automation.timezone,
        default_status=dg.DefaultScheduleStatus.RUNNING if automation.cron else dg.DefaultScheduleStatus.STOPPED,
        description="Re-distils what is stale; runs if `automation.cron` is set.",
        required_resource_keys={resource},
    )
    def redistill(context: dg.ScheduleEvaluationContext) -> dg.RunRequest | dg.SkipReason:
        try:
            steps = list_steps(Snapshot(getattr(context.resources, resource).value))
        except UserError as e:
            return dg.SkipReason(str(e))
        stale = [step for step in steps if not step.is_fresh]
        if not stale:
            return dg.SkipReason("nothing is stale")
        why = f"{stale[0].title}: {', '.join(stale[0].why)}"
        others = f"; and {len(stale) - 1} others are not up to date" if len(stale) > 1 else ""
        return dg.RunRequest(tags={INVOCATION: "schedule", BECAUSE: short(f"{why}{others}")})

    return redistill
