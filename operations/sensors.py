"""The sensor that observes the source files, and the one that evaluates the conditions of all assets."""

import dagster as dg

from distill_dagster.assets.naming import Names
from distill_dagster.assets.run_tags import INVOCATION
from distill_dagster.config import DistillConfig
from distill_dagster.errors import UserError
from distill_dagster.lineage.snapshot import Snapshot
from distill_dagster.lineage.stages import OBSERVED, stages_of
from distill_dagster.operations.observing import FoundChanges, observe_within
from distill_dagster.operations.orphans import end_orphans

LOOK_SECONDS = 6.0  # of reading and as many of reporting in a tick; Dagster gives up on a tick after 60 s
MOST_NAMED = 20


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
            seen = observe_within(context.instance, look, LOOK_SECONDS, context.log.warning)
        except UserError as e:
            return dg.SkipReason(str(e))
        return dg.SkipReason(_said(seen) if seen else "another process is looking at the source files")

    own = [names.key(item.name) for item in (*OBSERVED, *stages_of(config))]
    automatic = dg.AutomationConditionSensorDefinition(
        names.own("redistill"),
        target=dg.AssetSelection.assets(*own),
        default_status=running if config.automation.enabled else stopped,
        minimum_interval_seconds=interval,
        run_tags={INVOCATION: "automation: an input changed"},
        # the daemon of backfills looks twice a minute: two shards would wait for it twice a stage
        emit_backfills=config.automation.shards_per_run > 1,
    )
    return [observe_sources, automatic]


def _said(seen: FoundChanges) -> str:
    """What a look found, in one line."""
    named, more = seen.changed[:MOST_NAMED], len(seen.changed) - MOST_NAMED
    others = f" and {more:,} others" if more > 0 else ""
    found = f"changed: {', '.join(named)}{others}" if named else "no source file changed"
    return f"{found}; {seen.left:,} files are left for the next look" if seen.left else found
