"""`distill-dagster status`: what is fresh, stale and failing, and what a run would do next."""

import time
from collections import Counter
from typing import Any

import dagster as dg

from distill_dagster.alerts.memory import Memory
from distill_dagster.alerts.outbox import state_of
from distill_dagster.definitions import build_definitions
from distill_dagster.lineage import Project
from distill_dagster.plan import Step, list_steps


def read_status(project: Project, instance: dg.DagsterInstance) -> dict[str, Any]:
    """JSON-able: artefacts by state, those that are not fresh with the reason, and checks whose last run failed.

    `alerts` says what waits to be delivered. `next` names what can be made now: nothing that it reads is to be made
    first.
    """
    steps = list_steps(project)
    open_steps = [step for step in steps if step.state != "fresh"]
    return {
        "artefacts": dict(Counter(step.state for step in steps)),
        "open": [{"artefact": title(step), "state": step.state, "why": step.why} for step in open_steps],
        "failing_checks": _failing_checks(project, instance),
        "alerts": state_of(Memory.load(project.store.root, time.time())),
        "next": [title(step) for step in open_steps if not step.waits],
    }


def title(step: Step) -> str:
    """An artefact's name, such as `teacher_outputs[train-part-03]`."""
    return f"{step.asset}[{step.shard}]" if step.shard else step.asset


def _failing_checks(project: Project, instance: dg.DagsterInstance) -> list[dict[str, Any]]:
    """Checks whose latest evaluation did not pass; of partitioned ones, for each shard that there is."""
    graph = build_definitions(project.config).resolve_asset_graph()
    shards = set(project.sources())
    failing = []
    for key in sorted(graph.asset_check_keys, key=lambda key: key.to_user_string()):
        history = instance.event_log_storage.get_asset_check_execution_history(key, limit=10 * (1 + len(shards)))
        latest: dict[str | None, Any] = {}
        for record in history:  # newest first
            latest.setdefault(record.partition, record)
        for shard, record in sorted(latest.items(), key=lambda item: item[0] or ""):
            evaluation = record.evaluation
            if evaluation and not evaluation.passed and (shard is None or shard in shards):
                asset = key.asset_key.to_user_string()
                failing.append(
                    {
                        "check": key.name,
                        "artefact": f"{asset}[{shard}]" if shard else asset,
                        "severity": evaluation.severity.value,
                        "description": evaluation.description,
                    }
                )
    return failing
