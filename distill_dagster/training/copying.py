"""Publish weights that another stage trained: those of a finished round, or of the best trial of a sweep."""

import contextlib
import shutil
from collections.abc import Iterator
from pathlib import Path

from distill_dagster.errors import DataError
from distill_dagster.models.ref import read_ref, write_ref
from distill_dagster.store import files
from distill_dagster.training.card import write_card
from distill_dagster.training.specs import TrainResult, TrainSpec


@contextlib.contextmanager
def needed_of(stage: str) -> Iterator[None]:
    """Name the stage whose artefact lacks a file that is read inside the block."""
    try:
        yield
    except FileNotFoundError as e:
        raise DataError(f"{e.filename} is gone: materialize {stage} again") from e


def copy_student(spec: TrainSpec, folder: Path) -> None:
    """Copy the weights of the student in `folder` into `spec.out`, and record them under the project's name."""
    out = Path(spec.out)
    weights = out / files.WEIGHTS_FOLDER
    shutil.copytree(folder / files.WEIGHTS_FOLDER, weights)
    write_ref(out, read_ref(folder).model_copy(update={"path": str(weights), "name": spec.name}))


def publish_best(spec: TrainSpec) -> TrainResult:
    """Write the student of a sweep's best trial into `spec.out`, with its adapters and a card that names the sweep.

    Raises:
        DataError: a file of the trial is gone.
    """
    best = spec.best_trial
    assert best is not None, "only a spec with a best trial is published"
    out, folder = Path(spec.out), Path(best.folder)
    with needed_of("student_sweep"):
        copy_student(spec, folder)
        shutil.copyfile(folder / files.HISTORY_FILE, out / files.HISTORY_FILE)
    if (folder / files.ADAPTER_FOLDER).is_dir():
        shutil.copytree(folder / files.ADAPTER_FOLDER, out / files.ADAPTER_FOLDER)
    write_card(spec, best.result.counts, best.result)
    made = best.result.model_dump(exclude={"usage", "leased", "launchpad"})
    return TrainResult.model_validate({**made, "found": best.point})
