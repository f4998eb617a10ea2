"""The checks of an export: does it read prompts as the student did in training, and does it answer as well?"""

from distill_dagster.checks.base import Check, Finding, Inspection, Numbers
from distill_dagster.config import EXPORT_FORMATS
from distill_dagster.lineage.exports import export_of
from distill_dagster.release.export.specs import ExportResult


def _reads_prompts_alike(of: Inspection) -> Finding:
    counts = of.manifest.read(ExportResult).counts
    return Finding(
        counts.same_prompts == counts.predictions,
        f"{counts.same_prompts:,} of {counts.predictions:,} prompts are the same tokens as in training; all should be",
        {"same_prompts": counts.same_prompts, "predictions": counts.predictions},
    )


def _keeps_score(of: Inspection) -> Finding:
    """Compare the low end of the difference with the margin; within the margin, a failure is a lack of rows."""
    result = of.manifest.read(ExportResult)
    low, high = result.interval
    counts = result.counts
    says = (
        f"the export scores {result.score:.1%} and the checkpoint {result.checkpoint_score:.1%} on {result.items:,} "
        f"held-out items: {_points(result.difference)} points (95 % interval {_points(low)} to {_points(high)}); the "
        f"low end may be {_points(-of.limit)} at worst. {counts.same_answers:,} of {counts.predictions:,} answers are "
        "the same"
    )
    passed, undecided = low >= -of.limit, result.difference >= -of.limit
    if undecided and not passed:
        says += ". The loss is within the limit, but too few rows show it: add held-out rows"
    numbers: Numbers = {"difference": result.difference, "difference_low": low, "difference_high": high}
    return Finding(passed, says, numbers, undecided and not passed)


def _points(share: float) -> str:
    return f"{100 * share:+.2f}"


CHECKS = tuple(
    check
    for asset in map(export_of, EXPORT_FORMATS)
    for check in (
        Check(
            "export_reads_prompts_alike",
            asset,
            "The export's own template and tokenizer make the same tokens of every held-out prompt as in training.",
            _reads_prompts_alike,
            severity=lambda s: s.export_reads_prompts_alike,
        ),
        Check(
            "export_keeps_score",
            asset,
            "The low end of the 95 % interval of (export's score - checkpoint's score) is at least minus "
            "`checks.max_export_loss`.",
            _keeps_score,
            severity=lambda s: s.export_keeps_score,
            limit=lambda c: c.max_export_loss,
        ),
    )
)
