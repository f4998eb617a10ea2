"""What people read about a release in the UI: what is released, the last decision, and the decisions so far."""

from typing import Any

import dagster as dg

from distill_dagster.assets.views.tables import table_of
from distill_dagster.release.gate import short
from distill_dagster.release.register import read_decisions
from distill_dagster.release.specs import ReleaseDecision, ReleaseResult
from distill_dagster.store import files
from distill_dagster.store.manifest import Manifest

SHOWN = 20
APPROVE = "waits for approval: `distill-dagster approve`"
COLUMNS = {
    "number": "The decision's number; the first one is 1.",
    "at": "When it was made, in UTC.",
    "who": "How the run was started, or the command, and by whom.",
    "student": "The student that was judged, or withdrawn.",
    "outcome": "What was decided.",
    "why": "Why.",
    "released": "The released student after the decision.",
}


def release_view(manifest: Manifest) -> dict[str, Any]:
    """Metadata of `released_student`."""
    result = manifest.read(ReleaseResult)
    decisions = read_decisions(manifest.file(files.DECISIONS_FILE).read_text(encoding="utf-8"))
    weights = manifest.file(files.WEIGHTS_FOLDER)
    return {
        "released": short(result.champion),
        "first_release": short(result.first),
        **({"waiting": f"{short(result.waiting)} {APPROVE}"} if result.waiting else {}),
        **(_last(result.decision) if result.decision else {}),
        "looks_at_the_test_set": result.counts.looks,
        "decisions": table_of([as_row(decision) for decision in decisions[: -SHOWN - 1 : -1]], COLUMNS),
        **({"model": dg.MetadataValue.path(weights)} if result.champion else {}),
    }


def _last(decision: ReleaseDecision) -> dict[str, Any]:
    """The last decision, with its differences as numbers that plot over time."""
    differences = {"champion": decision.against_champion, "first": decision.against_first}
    return {
        "decision": f"{decision.outcome} {short(decision.student)}: {decision.why}",
        **{
            f"difference_to_{other}{suffix}": value
            for other, found in differences.items()
            if found
            for suffix, value in (("", found.value), ("_low", found.low), ("_high", found.high))
        },
    }


def as_row(decision: ReleaseDecision) -> dict[str, Any]:
    """A decision as a row for people."""
    return {
        **decision.model_dump(include={"number", "at", "who", "outcome", "why"}),
        "student": short(decision.student),
        "released": short(decision.champion),
    }
