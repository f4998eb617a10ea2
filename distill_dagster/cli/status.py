"""`distill-dagster status`: what is fresh, stale and failing, and what a run or the automation would do next."""

import time
from collections import Counter
from pathlib import Path
from typing import Any

import dagster as dg
from pydantic import BaseModel

from distill_dagster.alerts.memory import Memory
from distill_dagster.alerts.outbox import state_of
from distill_dagster.assets.naming import Names
from distill_dagster.cli.console import out, say, say_error, table
from distill_dagster.config import DistillConfig
from distill_dagster.definitions import build_lineage
from distill_dagster.lineage.snapshot import Snapshot
from distill_dagster.lineage.stages import STAGES, follows
from distill_dagster.lineage.student import snippet, student_place
from distill_dagster.operations.dagster_internals import switched
from distill_dagster.operations.failed_steps import FailedStep, failed_steps
from distill_dagster.operations.failing_checks import FailingCheck, failing_checks
from distill_dagster.operations.orphans import find_orphans
from distill_dagster.operations.run_failures import is_own
from distill_dagster.planning.steps import Step, list_steps
from distill_dagster.store.manifest import title_of


class OpenStep(BaseModel, frozen=True):
    """An artefact that is not up to date."""

    artefact: str
    state: str
    why: list[str]


class CheckState(BaseModel, frozen=True):
    """A check that fails."""

    artefact: str
    check: str
    severity: str  # ERROR | WARN
    holds: bool  # whether it blocks all that reads the artefact
    description: str | None


class LaunchpadState(BaseModel, frozen=True):
    """An artefact that was made with settings of the launchpad."""

    artefact: str
    settings: dict[str, Any]


class AutomationState(BaseModel, frozen=True):
    """Whether Dagster's daemon makes what is next when an input changes, and at the times of the schedule."""

    on_change: bool
    on_schedule: bool


class Status(BaseModel, frozen=True):
    """What `status --json` prints."""

    artefacts: dict[str, int]  # how many are in each state
    open: list[OpenStep]
    failed: list[FailedStep]  # the last error of each step that was tried and not made
    failing_checks: list[CheckState]
    unusable_files: dict[str, str]  # the error of each source file that cannot be read, or whose name cannot be a key
    lost_runs: list[str]  # runs whose process is gone
    alerts: str  # failed deliveries that wait for another attempt, in one line; empty if there are none
    launchpad: list[LaunchpadState]
    next: list[str]  # what can be made now: all that it reads is fresh, and no failing check holds it back
    student: str | None  # path of the published student
    automation: AutomationState

    @property
    def is_failing(self) -> bool:
        """Whether a step or a check of severity error failed, or a source file cannot be used; a warning holds none."""
        return bool(self.failed or self.unusable_files) or any(c.severity == "ERROR" for c in self.failing_checks)


def read_status(look: Snapshot, instance: dg.DagsterInstance) -> Status:
    """The status of a project: its artefacts by state, the reasons for those that are not fresh, what failed."""
    steps, names = list_steps(look), Names.of(look.config)
    graph = build_lineage(look.config).resolve_asset_graph()
    failing = failing_checks(instance, graph, names, look.sources.keys())
    holding = [check for check in failing if check.holds]
    unfinished = [(step, _held_by(look.config, step, holding)) for step in steps if not step.is_fresh]
    return Status(
        artefacts=dict(Counter(step.state for step in steps)),
        open=[OpenStep(artefact=s.title, state=s.state, why=[*s.why, *held]) for s, held in unfinished],
        failed=failed_steps(instance, look, steps),
        failing_checks=[_check_state(check) for check in failing],
        unusable_files={key: str(error) for key, error in look.read_sources().items()},
        lost_runs=[run.run_id for run, _ in find_orphans(instance) if is_own(instance, run, names)],
        alerts=state_of(Memory.load(look.project.state, time.time())),
        launchpad=_launchpad(look, steps),
        next=[step.title for step, held in unfinished if not step.waits and not held],
        student=student_place(look.project.store),
        automation=_automation(look.config, names, instance),
    )


def _held_by(config: DistillConfig, step: Step, holding: list[FailingCheck]) -> list[str]:
    """The failing checks that hold a step back: those of what it reads, in its own shard or, without one, in any."""
    read = follows(STAGES[step.asset], config)
    return [
        f"held by {check.check} of {title_of(check.asset, check.shard)}"
        for check in holding
        if check.asset in read and (None in (step.shard, check.shard) or check.shard == step.shard)
    ]


def _launchpad(look: Snapshot, steps: list[Step]) -> list[LaunchpadState]:
    """The artefacts whose run had other settings than distill.yaml."""
    found = ((step.title, look.find(step.asset, step.shard)) for step in steps)
    return [LaunchpadState(artefact=title, settings=made.launchpad) for title, made in found if made and made.launchpad]


def _check_state(check: FailingCheck) -> CheckState:
    said = {name: getattr(check, name) for name in ("check", "severity", "holds", "description")}
    return CheckState(artefact=title_of(check.asset, check.shard), **said)


def _automation(config: DistillConfig, names: Names, instance: dg.DagsterInstance) -> AutomationState:
    """The switches of the sensor and the schedule. One that was set in the UI overrides the config, as in Dagster."""
    by_hand, automation = switched(instance), config.automation
    return AutomationState(
        on_change=by_hand.get(names.own("redistill"), automation.enabled),
        on_schedule=by_hand.get(names.own("redistill_schedule"), automation.cron is not None),
    )


def print_student(path: Path) -> None:
    """Print where the student is, and the lines that load it."""
    out.print(f"student: {path}", soft_wrap=True, markup=False, highlight=False)
    out.print(snippet(path), soft_wrap=True, markup=False, highlight=False)


def print_status(found: Status) -> None:
    """Print the status as tables."""
    say(", ".join(f"{count} {state}" for state, count in sorted(found.artefacts.items())))
    if found.open:
        rows = [
            [step.artefact, step.state, ", ".join(step.why), "next" if step.artefact in found.next else ""]
            for step in found.open
        ]
        out.print(table("Not up to date", ["artefact", "state", "because of", "is made"], rows))
    for failed in found.failed:
        say_error(f"{failed.artefact} failed at {failed.failed_at}: {failed.error}")
    if found.failing_checks:
        rows = [[f"{c.artefact}: {c.check}", c.severity, c.description or ""] for c in found.failing_checks]
        out.print(table("Failing checks", ["check", "severity", "what it found"], rows))
    for made in found.launchpad:
        said = ", ".join(f"{name} {value}" for name, value in made.settings.items())
        say(f"{made.artefact} was made with settings of the launchpad: {said}")
    for problem in found.unusable_files.values():
        say_error(problem)
    if found.alerts:
        say(f"alerts: {found.alerts}")
    for run_id in found.lost_runs:
        say(f"run {run_id} is under way, but its process is gone")
    on = found.automation
    unasked = [w for w, is_on in (("when an input changes", on.on_change), ("by the clock", on.on_schedule)) if is_on]
    say(f"automation: {' and '.join(unasked) or 'off, so only `distill-dagster run` or the UI makes anything'}")
    if found.student:
        print_student(Path(found.student))
