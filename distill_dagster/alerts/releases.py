"""The message about decisions on releases: a student was promoted, refused, approved, rolled back, or waits.

    [intent] PROMOTED: student 3f2a91c07d3e

    PROMOTED: student 3f2a91c07d3e, by distill-dagster run (ada)
    against the released student: +1.2 points (95 % interval -0.3 to +2.8, 400 items); the lower ends are …
    Released now: 3f2a91c07d3e

The decisions are read from the release itself, so a decision at the command line is sent too. The memory counts those
that it has read. A project whose alerts begin later does not send what was decided before.
"""

from collections.abc import Sequence

from distill_dagster.alerts.memory import Memory
from distill_dagster.alerts.message import DESCRIPTION, LISTED, AlertSeverity, Message, shown
from distill_dagster.lineage.project import Project
from distill_dagster.lineage.student import RELEASED
from distill_dagster.release.gate import short
from distill_dagster.release.register import read_decisions
from distill_dagster.release.specs import ReleaseDecision
from distill_dagster.store import files

GOOD = ("promoted", "approved")


def new_decisions(project: Project, memory: Memory) -> list[ReleaseDecision]:
    """The decisions since the last look, oldest first; notes in `memory` that they were read."""
    manifest = project.store.find(RELEASED)
    if manifest is None:
        if memory.decisions is None:
            memory.decisions = 0
        return []
    decisions = read_decisions(manifest.file(files.DECISIONS_FILE).read_text(encoding="utf-8"))
    known = len(decisions) if memory.decisions is None else memory.decisions
    memory.decisions = len(decisions)
    return decisions[known:] if known <= len(decisions) else decisions  # fewer: the release was begun again


def compose_decisions(project: str, decisions: Sequence[ReleaseDecision], ui_url: str) -> Message:
    """One message about all `decisions` (at least one), the last one first."""
    newest, rest = list(reversed(decisions)), len(decisions) - 1
    title = f"[{project}] {_title(newest[0])}" + (f", and {rest:,} more" if rest else "")
    blocks = [_block(decision, ui_url) for decision in newest[:LISTED]]
    severity: AlertSeverity = "info" if all(decision.outcome in GOOD for decision in decisions) else "warn"
    return Message(
        title, "\n\n".join([*blocks, *([f"and {rest + 1 - LISTED:,} more"] if rest >= LISTED else [])]), severity
    )


def _title(decision: ReleaseDecision) -> str:
    outcome = "WAITS FOR APPROVAL" if decision.outcome == "waiting" else decision.outcome.upper()
    return f"{outcome}: student {short(decision.student)}"


def _block(decision: ReleaseDecision, ui_url: str) -> str:
    lines = [
        f"{_title(decision)}, by {shown(decision.who, 80)}",
        shown(decision.why, DESCRIPTION),
        f"Released now: {short(decision.champion)}",
        f"{ui_url}/runs/{decision.run_id}" if decision.run_id else "",
    ]
    return "\n".join(line for line in lines if line)
