"""`distill-dagster status`: what is fresh, stale and failing, and what a run or the automation would do next."""

import time
from collections import Counter
from dataclasses import asdict
from pathlib import Path
from typing import Any

import dagster as dg

from distill_dagster.alerts.memory import Memory
from distill_dagster.alerts.outbox import state_of
from distill_dagster.assets.naming import Names
from distill_dagster.cli.console import out, say, say_error, table
from distill_dagster.config import DistillConfig
from distill_dagster.definitions import build_lineage
from distill_dagster.lineage.snapshot import Snapshot
from distill_dagster.lineage.stages import STAGES, follows
from distill_dagster.lineage.student import snippet, student_path
from distill_dagster.operations.dagster_internals import switched
from distill_dagster.operations.failed_steps import failed_steps
from distill_dagster.operations.failing_checks import FailingCheck, failing_checks
from distill_dagster.operations.orphans import find_orphans
from distill_dagster.operations.run_failures import is_own
from distill_dagster.planning.steps import Step, list_steps
from distill_dagster.store.manifest import title_of


def read_status(look: Snapshot, instance: dg.DagsterInstance) -> dict[str, Any]:
    """The status as JSON-able values: artefacts by state, the reasons for those that are not fresh, what failed.

    `failed` holds the last error of each step that was tried and not made, `failing_checks` the checks that fail, and
    `unusable_files` the error of each source file that cannot be read, or whose name cannot be a key.

    `launchpad` names the artefacts that were made with settings of the launchpad, and these settings.
    `next` names what can be made now, because all that it reads is fresh and no failing check holds it back.
    `automation` says whether Dagster makes it without a request, `lost_runs` which runs have lost their process, and
    `alerts` what waits for delivery.
    """
    steps, names = list_steps(look), Names.of(look.config)
    graph = build_lineage(look.config).resolve_asset_graph()
    failing = failing_checks(instance, graph, names, look.sources.keys())
    holding = [check for check in failing if check.holds]
    unfinished = [(step, _held_by(look.config, step, holding)) for step in steps if not step.is_fresh]
    return {
        "artefacts": dict(Counter(step.state for step in steps)),
        "open": [{"artefact": step.title, "state": step.state, "why": [*step.why, *held]} for step, held in unfinished],
        "failed": [asdict(step) for step in failed_steps(instance, look, steps)],
        "failing_checks": [_document(check) for check in failing],
        "unusable_files": {key: str(error) for key, error in look.read_sources().items()},
        "lost_runs": [run.run_id for run, _ in find_orphans(instance) if is_own(instance, run, names)],
        "alerts": state_of(Memory.load(look.project.store.root, time.time())),
        "launchpad": _launchpad(look, steps),
        "next": [step.title for step, held in unfinished if not step.waits and not held],
        "student": str(path) if (path := student_path(look.project.store)) else None,
        "automation": _automation(look.config, names, instance),
    }


def is_failing(found: dict[str, Any]) -> bool:
    """Whether a step or a check of severity error failed, or a source file cannot be used; a warning holds nothing."""
    failing = any(check["severity"] == "ERROR" for check in found["failing_checks"])
    return failing or bool(found["failed"]) or bool(found["unusable_files"])


def _held_by(config: DistillConfig, step: Step, holding: list[FailingCheck]) -> list[str]:
    """The failing checks that hold a step back: those of what it reads, in its own shard or, without one, in any."""
    read = follows(STAGES[step.asset], config)
    return [
        f"held by {check.check} of {title_of(check.asset, check.shard)}"
        for check in holding
        if check.asset in read and (None in (step.shard, check.shard) or check.shard == step.shard)
    ]


def _launchpad(look: Snapshot, steps: list[Step]) -> list[dict[str, Any]]:
    """The artefacts whose run had other settings than distill.yaml."""
    found = ((step.title, look.find(step.asset, step.shard)) for step in steps)
    return [{"artefact": title, "settings": made.launchpad} for title, made in found if made and made.launchpad]


def _document(check: FailingCheck) -> dict[str, Any]:
    said = asdict(check)
    asset, shard = said.pop("asset"), said.pop("shard")
    return {**said, "artefact": title_of(asset, shard)}


def _automation(config: DistillConfig, names: Names, instance: dg.DagsterInstance) -> dict[str, bool]:
    """Whether Dagster's daemon makes what is next when an input changes, and at the times of the schedule.

    A switch in the UI overrides the config, as it does in Dagster.
    """
    by_hand, automation = switched(instance), config.automation
    return {
        "on_change": by_hand.get(names.own("redistill"), automation.enabled),
        "on_schedule": by_hand.get(names.own("redistill_schedule"), automation.cron is not None),
    }


def print_student(path: Path) -> None:
    """Print where the student is, and the lines that load it."""
    out.print(f"student: {path}", soft_wrap=True, markup=False, highlight=False)
    out.print(snippet(path), soft_wrap=True, markup=False, highlight=False)


def print_status(found: dict[str, Any]) -> None:
    """Print the status as tables."""
    say(", ".join(f"{count} {state}" for state, count in sorted(found["artefacts"].items())))
    if found["open"]:
        rows = [
            [o["artefact"], o["state"], ", ".join(o["why"]), "next" if o["artefact"] in found["next"] else ""]
            for o in found["open"]
        ]
        out.print(table("Not up to date", ["artefact", "state", "because of", "is made"], rows))
    for failed in found["failed"]:
        say_error(f"{failed['artefact']} failed at {failed['failed_at']}: {failed['error']}")
    if found["failing_checks"]:
        rows = [[f"{c['artefact']}: {c['check']}", c["severity"], c["description"]] for c in found["failing_checks"]]
        out.print(table("Failing checks", ["check", "severity", "what it found"], rows))
    for made in found["launchpad"]:
        said = ", ".join(f"{name} {value}" for name, value in made["settings"].items())
        say(f"{made['artefact']} was made with settings of the launchpad: {said}")
    for problem in found["unusable_files"].values():
        say_error(problem)
    if found["alerts"]:
        say(f"alerts: {found['alerts']}")
    for run_id in found["lost_runs"]:
        say(f"run {run_id} is under way, but its process is gone")
    kinds = {"on_change": "when an input changes", "on_schedule": "by the clock"}
    unasked = [words for kind, words in kinds.items() if found["automation"][kind]]
    say(f"automation: {' and '.join(unasked) or 'off, so only `distill-dagster run` or the UI makes anything'}")
    if found["student"]:
        print_student(Path(found["student"]))
