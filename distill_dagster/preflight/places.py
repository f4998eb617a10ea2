"""The store and Dagster's home: whether they can be written, and whether the disk has room for what a run makes."""

import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

from distill_dagster.config.bucket import is_bucket
from distill_dagster.errors import DataError
from distill_dagster.lineage.snapshot import Snapshot
from distill_dagster.models.gguf_file import gguf_of
from distill_dagster.preflight.memory import training_of
from distill_dagster.preflight.pending import Pending
from distill_dagster.preflight.requirement import LATER, Requirement, require
from distill_dagster.process import GB
from distill_dagster.store.objects.bucket import open_bucket
from distill_dagster.store.objects.probe import probe
from distill_dagster.training.memory.state import WEIGHT_BYTES, bytes_per_parameter

PROBE_SECONDS = 10  # for which a request to the bucket is repeated
CHECKPOINTS = 3  # most that exist at a time
PUBLISHED_BYTES = 4  # a parameter
TABLES = 6  # sizes of the source files: rows, answers, replies, examples


def place_requirements(
    look: Snapshot, pending: Pending, parameters: Mapping[str, int], write: bool
) -> Iterator[Requirement]:
    """Write access, by a test file if `write`, room on the store's disk, and what a bucket's server has to keep."""
    config, local = look.config, look.config.local_root
    home = Path(os.environ.get("DAGSTER_HOME") or local / ".dagster")
    if is_bucket(config.store):
        yield bucket_requirement(config.store, write)
    for name, folder in (("local_folder" if is_bucket(config.store) else "store", local), ("DAGSTER_HOME", home)):
        yield require("write access", name, lambda folder=folder: _writable(folder, write))
    yield _room(look, pending, parameters)


def bucket_requirement(store: str, write: bool) -> Requirement:
    """Whether a server can hold a store: asked with a few small objects if `write`."""
    if not write:
        return Requirement("conditional writes", "store", "not checked", LATER)
    return require("conditional writes", "store", lambda: probe(open_bucket(store, retry_seconds=PROBE_SECONDS)))


def _writable(folder: Path, write: bool) -> str:
    """The folder's path.

    Raises:
        DataError: it cannot be made, or written.
    """
    way_out = "choose another folder, or make this one writable"
    if not write:
        above = _existing(folder)
        if not above.is_dir() or not os.access(above, os.W_OK | os.X_OK):
            raise DataError(f"{folder} cannot be written ({above} is read-only or no folder): {way_out}")
        return str(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(b"preflight")
    except OSError as e:
        raise DataError(f"{folder} cannot be written ({e.strerror or e}): {way_out}") from e
    return str(folder)


def _room(look: Snapshot, pending: Pending, parameters: Mapping[str, int]) -> Requirement:
    """Room on disk: too little for the weights and one checkpoint is an error, for all that is expected a warning."""
    sizes = {name: parameters.get("teacher" if name == "teacher_model" else "student", 0) for name in pending.stages}
    weights = sum(size * PUBLISHED_BYTES for name, size in sizes.items() if _writes_weights(name, pending))
    checkpoint = max((size * _checkpoint_bytes(name, pending) for name, size in sizes.items()), default=0)
    least = weights + checkpoint
    expected = weights + checkpoint * CHECKPOINTS + _table_bytes(look, pending)
    folder = _existing(look.config.local_root)
    free = shutil.disk_usage(folder).free
    said = f"about {expected / GB:.2f} GB of {free / GB:.1f} GB that are free on the disk of {folder}"
    field = "local_folder" if is_bucket(look.config.store) else "store"
    if free < least:
        said = f"at least {least / GB:.2f} GB are needed, {free / GB:.2f} GB are free on the disk of {folder}"
        return Requirement("disk", "store", "error", f"{said}: make room, or choose another `{field}:`")
    return Requirement("disk", "store", "warning" if free < expected else "ok", said)


def _writes_weights(stage: str, pending: Pending) -> bool:
    """Whether a stage publishes weights: those that it trains, builds, dequantizes or cuts; not those that it pins."""
    teacher, student = pending.config.teacher.model, pending.config.student
    model = {"teacher_model": teacher, "student_base": student.model}.get(stage)
    is_new = model is not None and (model.name is None or gguf_of(model.name) is not None)
    return is_new or training_of(stage, pending) is not None or (stage == "student_base" and student.init is not None)


def _checkpoint_bytes(stage: str, pending: Pending) -> int:
    """Bytes of a parameter in a checkpoint: its weight and the optimizer's state; adapters alone are small."""
    training = training_of(stage, pending)
    return bytes_per_parameter(training) - WEIGHT_BYTES[training.weights] if training else 0


def _table_bytes(look: Snapshot, pending: Pending) -> int:
    if not {"raw_dataset", "teacher_outputs", "validated_synthetic_set"} & set(pending.stages):
        return 0
    files = [Path(source.url) for source in look.sources.values() if "://" not in source.url]
    return TABLES * sum(path.stat().st_size for path in files if path.is_file())


def _existing(folder: Path) -> Path:
    """The folder, or the nearest one above it that exists."""
    folder = folder.absolute()
    return next(path for path in (folder, *folder.parents) if path.exists())
