"""The checks of the models and the report: does the teacher beat chance, did the student learn, does it keep enough?"""

import math

from distill_dagster.checks.base import Check, Finding, Inspection, Numbers, at_most
from distill_dagster.config import MeasuredRole
from distill_dagster.evaluation.chance import standings
from distill_dagster.evaluation.specs import BenchmarkResult
from distill_dagster.lineage.gold_student import CHECKPOINT, has_gold_student
from distill_dagster.report.document import read_document
from distill_dagster.report.specs import ReportResult
from distill_dagster.store import files, parquet
from distill_dagster.training.record import StepLoss
from distill_dagster.training.specs import TrainResult

COLUMNS = ("row_id", "task", "reference")
# a student before distillation often never ends
MEANT_TO_ANSWER: tuple[MeasuredRole, ...] = ("teacher", "student", "gold_student")


def _loss_is_finite_and_fell(of: Inspection) -> Finding:
    """Compare the means of the first and the last tenth of the recorded losses."""
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


def _teacher_above_chance(of: Inspection) -> Finding:
    """Compare the teacher's score on each task with the chance level; the numbers are those of the weakest task."""
    found = standings(of.manifest.read(BenchmarkResult), parquet.read_table(of.file(files.PREDICTIONS_FILE), COLUMNS))
    weak = [standing for standing in found if not standing.is_above]
    if not found:
        return Finding(True, "no held-out row has a gold answer")
    shown = min(found, key=lambda standing: standing.low - standing.chance.score)
    undecided = bool(weak) and not any(standing.is_below for standing in weak)
    numbers: Numbers = {
        "score": shown.score,
        "score_low": shown.low,
        "score_high": shown.high,
        "chance": shown.chance.score,
    }
    return Finding(not weak, "; ".join(map(str, weak or found)), numbers, undecided)


def _few_cut_off(of: Inspection) -> Finding:
    """Count the answers that the limit of new tokens cut off: they score 0, whatever they were about to say."""
    measured = of.manifest.read(BenchmarkResult)
    what = f"answers of the {measured.role.replace('_', ' ')} were cut off at {measured.max_new_tokens:,} tokens"
    numbers: Numbers = {"cut_off": measured.truncated, "predictions": measured.predictions}
    return at_most(measured.truncated, measured.predictions, of.limit, what, numbers)


def _verdict_is_pass(of: Inspection) -> Finding:
    report = of.manifest.read(ReportResult)
    says = f"{report.verdict}: {report.headline}"
    return Finding(report.verdict == "PASS", says, {"verdict": report.verdict}, report.verdict != "FAIL")


def _teacher_adds_to_gold(of: Inspection) -> Finding:
    """Read the difference of the two students; one that is not shown passes."""
    gold = read_document(of.file(files.REPORT_FILE)).gold_student
    if gold is None:
        return Finding(True, "the report has no gold student: it was made before `evaluation.gold_student` was set")
    found = gold.difference
    numbers: Numbers = {"to_gold_student": found.value, "low": found.low, "high": found.high}
    return Finding(not gold.is_better, gold.text, numbers)


def _loss_check(asset: str) -> Check:
    return Check(
        "loss_is_finite_and_fell",
        asset,
        "The training loss is finite throughout, and its last tenth is on average below its first.",
        _loss_is_finite_and_fell,
        severity=lambda s: s.loss_is_finite_and_fell,
    )


def _cut_off_check(role: MeasuredRole) -> Check:
    return Check(
        "few_cut_off",
        f"{role}_benchmark",
        f"Few of the {role.replace('_', ' ')}'s answers were cut off by `evaluation.max_new_tokens`.",
        _few_cut_off,
        severity=lambda s: s.few_cut_off,
        limit=lambda c: c.max_cut_off_share,
    )


CHECKS = (
    *map(_cut_off_check, MEANT_TO_ANSWER),
    Check(
        "teacher_above_chance",
        "teacher_benchmark",
        "On every task the lower end of the interval of the teacher's score is above the score of always giving the "
        "most frequent gold answer, and in tasks without labels above that of giving another row's answer.",
        _teacher_above_chance,
        severity=lambda s: s.teacher_above_chance,
    ),
    *map(_loss_check, ("student_checkpoint", CHECKPOINT)),
    Check(
        "verdict_is_pass",
        "eval_report",
        "The lower end of the retention's 95 % interval reaches `evaluation.retention_target`.",
        _verdict_is_pass,
        severity=lambda s: s.verdict_is_pass,
    ),
    Check(
        "teacher_adds_to_gold",
        "eval_report",
        "The same student trained on gold answers alone is not shown to score better than the distilled one.",
        _teacher_adds_to_gold,
        severity=lambda s: s.teacher_adds_to_gold,
        wanted=has_gold_student,
    ),
)
