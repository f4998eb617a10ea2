"""`distill-dagster status`: what is fresh, stale and failing, and what a run or the automation would do next."""

import time
from collections import Counter
from dataclasses import asdict
from typing import Any

import dagster as dg
from dagster._core.scheduler.instigation import InstigatorStatus  # no public name for what the UI switched

from distill_dagster.alerts.memory import Memory
from distill_dagster.alerts.outbox import state_of
from distill_dagster.definitions import build_definitions
from distill_dagster.lineage.stages import STAGES, Project, follows, title_of
from distill_dagster.operations.failing_checks import FailingCheck, failing_checks
from distill_dagster.operations.orphans import find_orphans
from distill_dagster.planning.plan import Step, list_steps


def read_status(project: Project, instance: dg.DagsterInstance) -> dict[str, Any]:
    """JSON-able: artefacts by state, those that are not fresh with the reason, and checks whose last run failed.

    `next` names what can be made now: nothing that it reads is to be made first, and no check of that holds it.
    `automation` says whether it is made without being asked for, `lost_runs` which runs are under way without a
    process, `alerts` what waits to be delivered.
    """
    steps = list_steps(project)
    failing = failing_checks(instance, build_definitions(project.config).resolve_asset_graph(), set(project.sources()))
    holding = [check for check in failing if check.holds]
    open_steps = [(step, _held_by(project, step, holding)) for step in steps if step.state != "fresh"]
    return {
        "artefacts": dict(Counter(step.state for step in steps)),
        "open": [
            {"artefact": step_title(step), "state": step.state, "why": [*step.why, *held]} for step, held in open_steps
        ],
        "failing_checks": [_document(check) for check in failing],
        "lost_runs": [run.run_id for run, _ in find_orphans(instance)],
        "alerts": state_of(Memory.load(project.store.root, time.time())),
        "next": [step_title(step) for step, held in open_steps if not step.waits and not held],
        "automation": _automation(project, instance),
    }


def is_failing(found: dict[str, Any]) -> bool:
    """Whether a check of severity error fails; a warning holds up nothing."""
    return any(check["severity"] == "ERROR" for check in found["failing_checks"])


def step_title(step: Step) -> str:
    """The name of a step's artefact."""
    return title_of(step.asset, step.shard)


def _held_by(project: Project, step: Step, holding: list[FailingCheck]) -> list[str]:
    """The checks of what a step reads, in words; of shards its own shard's, or any's where it has none."""
    read = follows(STAGES[step.asset], project.config)
    return [
        f"held by {check.check} of {title_of(check.asset, check.shard)}"
        for check in holding
        if check.asset in read and (None in (step.shard, check.shard) or check.shard == step.shard)
    ]


def _document(check: FailingCheck) -> dict[str, Any]:
    said = asdict(check)
    asset, shard = said.pop("asset"), said.pop("shard")
    return {**said, "artefact": title_of(asset, shard)}


def _automation(project: Project, instance: dg.DagsterInstance) -> dict[str, bool]:
    """Whether Dagster's daemon would make what is next at its next look, and at the times of the schedule.

    What was switched in the UI goes before the config, as it does in Dagster. An instance without a schedule storage,
    such as an ephemeral one, has no switches.
    """
    automation = project.config.automation
    switched = {
        state.instigator_name: state.status == InstigatorStatus.RUNNING
        for state in (instance.all_instigator_state() if instance.schedule_storage else [])
        if state.status in (InstigatorStatus.RUNNING, InstigatorStatus.STOPPED)
    }
    return {
        "on_change": switched.get("redistill", automation.enabled),
        "on_schedule": switched.get("redistill_schedule", automation.cron is not None),
    }
