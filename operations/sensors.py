"""The sensor that looks at the source files, and the one that evaluates the conditions of all assets."""

import dagster as dg

from distill_dagster.config import AutomationConfig
from distill_dagster.errors import UserError
from distill_dagster.operations.observing import observe
from distill_dagster.operations.orphans import end_orphans
from distill_dagster.resources.project import ProjectResource


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
