"""The stages that export the student, one for each format: a change of the list makes no other export again.

    student_checkpoint, student_benchmark, eval_dataset ─ student_export_gguf_q8_0

An export answers the held-out rows, and its answers are compared with those of the checkpoint's benchmark.
"""

from collections.abc import Callable
from functools import partial

from distill_dagster.config import EXPORT_FORMATS, DistillConfig, ExportFormat
from distill_dagster.lineage import settings
from distill_dagster.lineage.labels import labels_come_from, labels_of
from distill_dagster.lineage.stage import Stage

READS = ("student_checkpoint", "student_benchmark", "eval_dataset")


def export_of(form: ExportFormat) -> str:
    """The stage that exports the student in a format."""
    return f"student_export_{form}"


def _has(form: ExportFormat) -> Callable[[DistillConfig], bool]:
    return lambda config: form in config.export.formats


EXPORTS: tuple[Stage, ...] = tuple(
    Stage(
        export_of(form),
        group="student",
        worker="export_student",
        shaped_by=partial(settings.student_export, form),
        reads=lambda _: READS,
        also=lambda look, _: {"labels": labels_of(look)},
        consults=labels_come_from,
        wanted=_has(form),
    )
    for form in EXPORT_FORMATS
)
