"""The stage that measures one model on the held-out rows."""

from collections.abc import Callable

from distill_dagster.config import DistillConfig, MeasuredRole
from distill_dagster.lineage.labels import labels_come_from, labels_of
from distill_dagster.lineage.snapshot import Snapshot
from distill_dagster.lineage.stage import Inputs, Stage, always


def labels_input(look: Snapshot, _: str | None) -> Inputs:
    """The labels that answers are parsed against, as an input."""
    return {"labels": labels_of(look)}


def benchmark(
    role: MeasuredRole,
    measured: str,
    shaped_by: Callable[[DistillConfig], Inputs],
    wanted: Callable[[DistillConfig], bool] = always,
) -> Stage:
    """The benchmark of the model that the stage `measured` makes."""
    return Stage(
        f"{role}_benchmark",
        group="evaluation",
        worker="run_benchmark",
        shaped_by=shaped_by,
        reads=lambda _: ("eval_dataset", measured),
        also=labels_input,
        consults=labels_come_from,
        code_version="6",
        compute="benchmark",
        pool="gpu_student",
        wanted=wanted,
    )
