"""The sensor that observes the source files, and the one that evaluates the conditions of all assets."""

import dagster as dg

from distill_dagster.assets.naming import Names
from distill_dagster.assets.run_tags import INVOCATION
from distill_dagster.config import DistillConfig
from distill_dagster.errors import UserError
from distill_dagster.lineage.snapshot import Snapshot
from distill_dagster.lineage.stages import OBSERVED, stages_of
from distill_dagster.operations.observing import observe
from distill_dagster.operations.orphans import end_orphans


def automation_sensors(config: DistillConfig) -> list[dg.SensorDefinition]:
    """The two sensors of one project."""
    names, running, stopped = Names.of(config), dg.DefaultSensorStatus.RUNNING, dg.DefaultSensorStatus.STOPPED
    interval = config.automation.observe_seconds - 1  # the daemon's own loop takes five seconds, and may be early
    resource = names.own("project")

    @dg.sensor(
        name=names.own("observe_sources"),
        description="Adds partitions for new source files, reports changed ones, and ends runs whose process is gone.",
        minimum_interval_seconds=interval,
        default_status=running,
        required_resource_keys={resource},
    )
    def observe_sources(context: dg.SensorEvaluationContext) -> dg.SkipReason:
        look = Snapshot(getattr(context.resources, resource).value)
        try:
            for run_id in end_orphans(context.instance):
                context.log.warning(f"run {run_id} is ended: its process is gone")
            changed = observe(context.instance, look, context.log.warning)
        except UserError as e:
            return dg.SkipReason(str(e))
        return dg.SkipReason(f"changed: {', '.join(changed)}" if changed else "no source file changed")

    own = [names.key(item.name) for item in (*OBSERVED, *stages_of(config))]
    automatic = dg.AutomationConditionSensorDefinition(
        names.own("redistill"),
        target=dg.AssetSelection.assets(*own),
        default_status=running if config.automation.enabled else stopped,
        minimum_interval_seconds=interval,
        run_tags={INVOCATION: "automation: an input changed"},
        emit_backfills=False,  # their daemon looks twice a minute: two shards would wait for it twice a stage
    )
    return [observe_sources, automatic]
