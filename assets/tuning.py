"""The search for the settings of the student's training: trials, each with a worker and a lease of its own."""

from pathlib import Path

from distill_dagster.assets.stage_asset import stage_asset
from distill_dagster.assets.student import train_spec
from distill_dagster.assets.views.tuning import sweep_view
from distill_dagster.lineage.guards import require_sweepable
from distill_dagster.lineage.sweeps import shorter_sweep
from distill_dagster.lineage.upstream import Upstream
from distill_dagster.tuning.specs import SweepSpec
from distill_dagster.tuning.sweep import run_sweep


@stage_asset(view=sweep_view, kinds={"optuna", "pytorch"}, guard=require_sweepable, conduct=run_sweep)
def student_sweep(upstream: Upstream, out: Path, work: Path) -> SweepSpec:
    """Trials of the student's training with different settings; the student of the best one, and the study."""
    sweep, training = upstream.config.student.sweep, upstream.config.student.training
    assert sweep is not None, "the stage exists if there is a sweep"
    shorter = shorter_sweep(upstream.look)
    return SweepSpec(
        sweep=sweep,
        train=train_spec(upstream, training, upstream.artefact("student_base"), out, work),
        earlier=str(shorter.folder) if shorter else None,
        out=str(out),
        work=str(work),
    )
