"""Did the teacher add anything? The distilled student against the same student trained on gold answers alone.

    S - G     95 % interval     the report says
    +0.064    0.026 … 0.100     The teacher added 6.4 points (2.6 to 10.0): …
    +0.008    -0.010 … 0.026    No difference was shown … : +0.8 (-1.0 to +2.6) points.
    -0.031    -0.052 … -0.010   The same student on gold answers alone is better by 3.1 points (1.0 to 5.2): …

Both answer the same items, so the difference is paired.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from distill_dagster.evaluation.differences import Difference, difference
from distill_dagster.evaluation.items import item_scores
from distill_dagster.evaluation.specs import Benchmark
from distill_dagster.report.document import GoldStudent
from distill_dagster.report.numbers import percent
from distill_dagster.report.wording import points

Row = Mapping[str, Any]
ONE_SEED = (
    "Student and gold student were trained once each. The interval of their difference covers the choice of held-out "
    "items alone, and another seed would change both scores."
)


@dataclass(frozen=True, slots=True)
class GoldStudentScores:
    """The gold student's benchmark and predictions, and how many rows it and the distilled student were trained on."""

    benchmark: Benchmark
    predictions: Sequence[Row]
    gold_rows: int
    student_rows: int


def compare_with_gold(
    gold: GoldStudentScores, student: Benchmark, scores: Mapping[str, float], **how: Any
) -> GoldStudent:
    """The distilled student minus the gold student; `scores` are the student's by row_id.

    Raises:
        DataError: the two were not scored on the same items.
    """
    found = difference(scores, item_scores(gold.predictions), **how)
    return GoldStudent(
        benchmark=gold.benchmark,
        difference=found,
        gold_rows=gold.gold_rows,
        student_rows=gold.student_rows,
        text=f"{gold_student_text(found, student.score, gold.benchmark.score)} {_rows_text(gold)}",
    )


def gold_student_text(found: Difference, student: float, gold: float) -> str:
    """Whether the teacher added anything, in a sentence; `student` and `gold` are the two scores."""
    value, low, high = (100 * part for part in (found.value, found.low, found.high))
    scores = f"{percent(student)} after distillation, {percent(gold)} after gold answers alone"
    if low > 0:
        return f"The teacher added {value:.1f} points ({low:.1f} to {high:.1f}): the student scores {scores}."
    if high < 0:
        return (
            f"The same student on gold answers alone is better by {-value:.1f} points ({-high:.1f} to {-low:.1f}): it "
            f"scores {scores}."
        )
    return (
        f"No difference was shown between the student and the same student on gold answers alone: {points(found)} "
        f"points ({scores})."
    )


def _rows_text(gold: GoldStudentScores) -> str:
    return f"The student was trained on {gold.student_rows:,} rows, the other one on {gold.gold_rows:,} gold answers."
