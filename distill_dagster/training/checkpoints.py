"""Which of the Trainer's checkpoints are complete: those with a marker that holds the hash of every file.

The Trainer writes a checkpoint file by file into its final folder, so a killed process can leave half of one. The
marker is written afterwards, atomically:

    runs/3f2a9c…/checkpoint-200/model.safetensors, optimizer.pt, …, complete.json     complete
    runs/3f2a9c…/checkpoint-300/model.safetensors                                     torn: deleted on resume
    runs/77c01e…/checkpoint-200/pytorch_model_fsdp_0/__1_0.distcp, …                  sharded: a file of each rank

The folder above is named after a fingerprint of everything that decides the weights; checkpoints of other runs are
deleted.
"""

import json
import re
import shutil
from pathlib import Path

from distill_dagster.errors import TrainingError
from distill_dagster.ranks import group
from distill_dagster.store.disk import file_sha256, fsync, write_text

MARKER = "complete.json"
NAME = re.compile(r"checkpoint-(\d+)")


def run_and_latest(work: Path, fingerprint: str) -> tuple[Path, Path | None]:
    """The folder of this run's checkpoints, and the one to resume from; the first rank finds them for all.

    Raises:
        TrainingError: the ranks do not agree on what is trained.
    """

    def find() -> tuple[str, Path, Path | None]:
        folder = run_folder(work, fingerprint)
        return fingerprint, folder, latest(folder)

    first, folder, resume = group.of_first(find)
    if first != fingerprint:
        raise TrainingError(
            f"rank {group.number()} would train something else than rank 0 ({fingerprint[:12]}, {first[:12]}): its "
            "files or its libraries differ; run again, and if it recurs, with one device"
        )
    return folder, resume


def run_folder(work: Path, fingerprint: str) -> Path:
    """The folder of this run's checkpoints. Those of other runs in `work` are deleted."""
    runs = work / "runs"
    folder = runs / fingerprint[:16]
    for other in runs.iterdir() if runs.is_dir() else ():
        if other != folder:
            shutil.rmtree(other)
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def mark(checkpoint: Path) -> None:
    """Declare a checkpoint complete: fsync its files, then write their hashes into the marker."""
    files = _files(checkpoint)
    for path in files.values():
        fsync(path)
    write_text(
        checkpoint / MARKER,
        json.dumps({name: file_sha256(path) for name, path in files.items()}, indent=1, allow_nan=False),
    )


def is_complete(checkpoint: Path) -> bool:
    """Whether there is a marker and every file has the hash in it."""
    try:
        marked: dict[str, str] = json.loads((checkpoint / MARKER).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    files = _files(checkpoint)
    return files.keys() == marked.keys() and all(file_sha256(path) == marked[name] for name, path in files.items())


def latest(folder: Path) -> Path | None:
    """The newest checkpoint to resume from, or None. Torn ones are deleted.

    A checkpoint is skipped if its best predecessor is gone, because the run could no longer return to it.
    """
    found = sorted((p for p in folder.iterdir() if NAME.fullmatch(p.name)), key=step_of)
    for checkpoint in [p for p in found if not is_complete(p)]:
        shutil.rmtree(checkpoint)
    complete = [p for p in found if p.is_dir()]
    return next((p for p in reversed(complete) if _best_is_there(p)), None)


def step_of(checkpoint: Path) -> int:
    """The number of optimizer steps before a checkpoint."""
    match = NAME.fullmatch(checkpoint.name)
    assert match is not None, checkpoint
    return int(match.group(1))


def _best_is_there(checkpoint: Path) -> bool:
    state = json.loads((checkpoint / "trainer_state.json").read_text(encoding="utf-8"))
    best = state.get("best_model_checkpoint")
    return best is None or (checkpoint.parent / Path(best).name).is_dir()


def _files(checkpoint: Path) -> dict[str, Path]:
    """Every file below the checkpoint's folder, by its path from there; a sharded model has folders of them."""
    files = {p.relative_to(checkpoint).as_posix(): p for p in sorted(checkpoint.rglob("*")) if p.is_file()}
    return {name: path for name, path in files.items() if name != MARKER}
