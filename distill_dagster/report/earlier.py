"""The students that a report compares its own with: the released one, and that of the report which it replaces.

A report can be made again for the same student, such as with another target. It is then compared with the students that
the replaced report was compared with, so that a fall is said until the student changes. This holds even if the student
was released in between.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from distill_dagster.config import EvaluationConfig
from distill_dagster.evaluation.earlier import AgainstEarlier, Items, against_earlier, read_items
from distill_dagster.report.document import read_document
from distill_dagster.report.specs import EarlierReport, Provenance, ReleasedScores
from distill_dagster.store import files, parquet


@dataclass(frozen=True, slots=True)
class Earlier:
    """An earlier student's items, the data version of its checkpoint, and when it was reported or released."""

    items: Items
    student: str
    created_at: str


def read_earlier(report: EarlierReport, provenance: Provenance) -> Earlier | None:
    """The student to compare with; None if the replaced report keeps no items, or was the first and of this student."""
    folder = Path(report.folder)
    if not (folder / files.ITEMS_FILE).exists():
        return None
    document = read_document(folder / files.REPORT_FILE)
    student, against = document.lineage.student_checkpoint.data_version, document.against_earlier
    if student != provenance.student_checkpoint.data_version:
        return Earlier(read_items(folder / files.ITEMS_FILE), student, report.created_at)
    return Earlier(read_items(folder / files.EARLIER_FILE), against.student, against.created_at) if against else None


def read_released(released: ReleasedScores, replaced: EarlierReport | None, provenance: Provenance) -> Earlier | None:
    """The released student; None if its scores cannot be compared.

    Of a report about the released student itself, it is the one that the replaced report was compared with.
    """
    student = provenance.student_checkpoint.data_version
    if released.student == student:
        return _champion_of(Path(replaced.folder), student) if replaced else None
    if not released.comparable:
        return None
    rows = parquet.read_table(Path(released.scores))
    items = [{"row_id": row["row_id"], "student": row["score"]} for row in rows if row["student"] == released.student]
    return Earlier(items, released.student, released.released_at) if items else None


def _champion_of(report: Path, student: str) -> Earlier | None:
    """The released student that a report about `student` compares it with."""
    if not (report / files.CHAMPION_FILE).exists():
        return None
    document = read_document(report / files.REPORT_FILE)
    against = document.against_released
    if against is None or document.lineage.student_checkpoint.data_version != student:
        return None
    return Earlier(read_items(report / files.CHAMPION_FILE), against.student, against.created_at)


def compare_with(earlier: Earlier, items: Sequence[Mapping[str, Any]], evaluation: EvaluationConfig) -> AgainstEarlier:
    """The student of `items` against the earlier one."""
    return against_earlier(
        items,
        earlier.items,
        created_at=earlier.created_at,
        student=earlier.student,
        resamples=evaluation.resamples,
        seed=evaluation.seed,
    )
