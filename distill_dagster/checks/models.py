"""The checks of the student and of the report: did it learn, and is it as good as was asked?"""

import math

from distill_dagster.checks.base import Check, Finding, Inspection
from distill_dagster.report.specs import ReportResult
from distill_dagster.training.specs import StepLoss, TrainResult


def _loss_is_finite_and_fell(of: Inspection) -> Finding:
    """Means of the first and the last tenth of the recorded losses."""
    history = of.manifest.read(TrainResult).history
    losses = [point.loss for point in history if isinstance(point, StepLoss)]
    if not losses or not all(math.isfinite(loss) for loss in losses):
        return Finding(False, "no loss was recorded, or one of them is not finite")
    tenth = max(1, len(losses) // 10)
    first, last = sum(losses[:tenth]) / tenth, sum(losses[-tenth:]) / tenth
    return Finding(
        len(losses) == 1 or last < first,
        f"mean loss of the first tenth {first:.4f}, of the last {last:.4f}",
        {"first_loss": first, "final_loss": last},
    )


def _verdict_is_pass(of: Inspection) -> Finding:
    report = of.manifest.read(ReportResult)
    says = f"{report.verdict}: {report.headline}"
    return Finding(report.verdict == "PASS", says, {"verdict": report.verdict}, report.verdict != "FAIL")


CHECKS = (
    Check(
        "loss_is_finite_and_fell",
        "student_checkpoint",
        "The training loss is finite throughout, and its last tenth is on average below its first.",
        _loss_is_finite_and_fell,
        severity=lambda s: s.loss_is_finite_and_fell,
    ),
    Check(
        "verdict_is_pass",
        "eval_report",
        "The lower end of the retention's 95 % interval reaches `evaluation.retention_target`.",
        _verdict_is_pass,
        severity=lambda s: s.verdict_is_pass,
    ),
)
