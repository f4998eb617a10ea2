"""The tables of parts of the test set, of the agreement of student and teacher, and of what the student confuses."""

from collections.abc import Collection, Iterable

from distill_dagster.config import ROLES, MeasuredRole
from distill_dagster.evaluation.agreement import Agreement, Share
from distill_dagster.evaluation.confusions import ConfusionTable
from distill_dagster.evaluation.slices import FEWEST, Slice
from distill_dagster.report.numbers import DASH, percent, percent_range
from distill_dagster.report.wording import estimate_cell


def slice_rows(slices: Iterable[Slice], roles: Collection[MeasuredRole] = ROLES) -> list[tuple[str, ...]]:
    """Lines of (part, items, the score of each model, retention with its interval)."""
    return [
        (
            f"task {part.name}" if part.kind == "task" else part.name,
            f"{part.items:,}",
            *(percent(getattr(part, role)) for role in roles),
            estimate_cell(part.retention) if part.retention else "too few items",
        )
        for part in slices
    ]


def agreement_rows(agreement: Iterable[Agreement]) -> list[tuple[str, ...]]:
    """Lines of (task, answers, same answer, right where the teacher is right, right where it is wrong)."""
    return [
        (
            found.task,
            f"{found.answers:,}",
            percent(found.same),
            _share_cell(found.where_teacher_is_right),
            _share_cell(found.where_teacher_is_wrong),
        )
        for found in agreement
    ]


def _share_cell(share: Share | None) -> str:
    if share is None:
        return DASH
    counts = f"{share.count:,} of {share.of:,}"
    return (
        counts if share.value is None else f"{percent(share.value)} ({percent_range(share.low, share.high)}; {counts})"
    )


def confusion_rows(table: ConfusionTable) -> list[tuple[str, ...]]:
    """Lines of (gold label, label that was given, teacher's, baseline's and student's answers, student's share)."""
    return [
        (
            pair.gold,
            pair.given or "(no label)",
            *(f"{getattr(pair, role):,}" for role in ROLES),
            f"of {pair.of:,}" + (f" ({percent(pair.student / pair.of)})" if pair.of >= FEWEST else ""),
        )
        for pair in table.pairs
    ]
