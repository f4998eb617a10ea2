"""Re-distilling by the clock: a job that makes everything that is stale, and the schedule that launches it."""

import dagster as dg

from distill_dagster.config import AutomationConfig
from distill_dagster.errors import UserError
from distill_dagster.operations.run_failures import OWN_RUNS
from distill_dagster.operations.runner import Runner
from distill_dagster.planning.plan import list_steps
from distill_dagster.resources.project import ProjectResource


def redistill_job(lineage: dg.Definitions) -> dg.JobDefinition:
    """The job that makes everything that is stale; one op, so that a run of it reads as one thing."""

    @dg.op(
        description="Makes everything that is stale, in the order of the lineage; each artefact in a run of its own."
    )
    def bring_up_to_date(context: dg.OpExecutionContext, project: ProjectResource) -> None:
        say = {"made": context.log.info, "failed": context.log.error}
        runner = Runner(project.value, lineage, context.instance, lambda title, state: say.get(state, _nothing)(title))
        outcome = runner.run()
        context.log.info(f"made {len(outcome.materialized)}, up to date {len(outcome.skipped)}")
        if outcome.failed:
            why = "; ".join(f"{title}: {why}" for title, why in outcome.failed.items())
            raise dg.Failure(why, metadata={OWN_RUNS: len(outcome.failed)}, allow_retries=False)

    @dg.job(description="Re-distils what is stale, when `automation.cron` says so or somebody launches it.")
    def redistill_job() -> None:
        bring_up_to_date()

    return redistill_job


def _nothing(_: str) -> None:
    """What is said of an artefact that is up to date."""


def redistill_schedule(config: AutomationConfig, job: dg.JobDefinition) -> dg.ScheduleDefinition:
    """Launches `redistill_job` where something is stale; where nothing is, the tick says so and launches nothing."""

    @dg.schedule(
        name="redistill_schedule",
        job=job,
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
