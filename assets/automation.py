"""When Dagster acts by itself: it looks at the source files, and re-makes what a change made stale.

Dagster's stock conditions forget a change that arrives while the asset is running: the latch that remembers it
is reset by that older run's end. `rerun_when_inputs_change` is reset only when a run is asked for, so the change
survives. Its price is that a manual run is not noticed, and asked for once more: every asset here returns in
seconds where its inputs are unchanged.
"""

import dagster as dg

from assets.partitions import observe
from distill_dagster.config import AutomationConfig
from distill_dagster.errors import UserError
from resources.project import ProjectResource

AC = dg.AutomationCondition


def rerun_when_inputs_change() -> dg.AutomationCondition:
    """True when a dependency's data version moved since this asset was last asked for.

    Held back while the asset or a dependency is being made, while a dependency is missing or has yet to follow a
    change of its own inputs, and while a blocking check of a dependency fails.
    """
    handled = AC.newly_requested() | AC.initial_evaluation()
    moved = AC.any_deps_match(AC.data_version_changed())
    wanted = (moved | AC.code_version_changed() | AC.newly_missing()).since(handled)
    waiting = AC.any_deps_match(moved.since(handled))  # a dependency has its own inputs to catch up with first
    settled = ~AC.in_progress() & ~AC.any_deps_missing() & ~AC.any_deps_in_progress()
    failing = AC.any_deps_match(AC.any_checks_match(AC.check_failed(), blocking_only=True))
    # `~waiting` comes first: a later operand is not evaluated where an earlier one is false, and misses changes then
    return (~waiting & wanted & settled & ~failing).with_label("rerun_when_inputs_change")


def automation_sensors(config: AutomationConfig) -> list[dg.SensorDefinition]:
    """The sensor that observes source files, and the one that evaluates the conditions of all assets."""
    running, stopped = dg.DefaultSensorStatus.RUNNING, dg.DefaultSensorStatus.STOPPED

    @dg.sensor(
        name="observe_sources",
        description="Adds a partition for each new source file and reports the shards whose content changed.",
        minimum_interval_seconds=config.observe_seconds,
        default_status=running,
    )
    def observe_sources(context: dg.SensorEvaluationContext, project: ProjectResource) -> dg.SkipReason:
        try:
            changed = observe(context.instance, project.value)
        except UserError as e:
            return dg.SkipReason(str(e))
        return dg.SkipReason(f"changed: {', '.join(changed)}" if changed else "no source file changed")

    automatic = dg.AutomationConditionSensorDefinition(
        "redistill",
        target=dg.AssetSelection.all(),
        default_status=running if config.enabled else stopped,
        minimum_interval_seconds=30,
    )
    return [observe_sources, automatic]
