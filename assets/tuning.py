"""The search for the settings of the student's training: trials, each with a worker and a lease of its own."""

from pathlib import Path
from typing import Any

from distill_dagster.assets.stage_asset import stage_asset
from distill_dagster.assets.student import train_spec
from distill_dagster.assets.views.tuning import sweep_view
from distill_dagster.lineage.freshness import inputs_of
from distill_dagster.lineage.guards import require_sweepable
from distill_dagster.lineage.upstream import Upstream
from distill_dagster.tuning.specs import SweepSpec
from distill_dagster.tuning.sweep import run_sweep


@stage_asset(view=sweep_view, kinds={"optuna", "pytorch"}, guard=require_sweepable, conduct=run_sweep)
def student_sweep(upstream: Upstream, out: Path, work: Path) -> SweepSpec:
    """Trials of the student's training with different settings; the student of the best one, and the study."""
    sweep, training = upstream.config.student.sweep, upstream.config.student.training
    assert sweep is not None, "the stage exists if there is a sweep"
    return SweepSpec(
        sweep=sweep,
        train=train_spec(upstream, training, upstream.artefact("student_base"), out, work),
        earlier=_shorter(upstream),
        out=str(out),
        work=str(work),
    )


def _shorter(upstream: Upstream) -> str | None:
    """The folder of the published sweep, if it differs from the present one only in that it has fewer trials."""
    before = upstream.look.find("student_sweep")
    if before is None:
        return None
    present = inputs_of(upstream.look, "student_sweep")
    grows = before.inputs["sweep"]["trials"] < present["sweep"]["trials"]
    return str(before.folder) if grows and _but_for_trials(before.inputs) == _but_for_trials(present) else None


def _but_for_trials(inputs: dict[str, Any]) -> dict[str, Any]:
    return {**inputs, "sweep": {**inputs["sweep"], "trials": None}}
