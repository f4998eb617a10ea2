"""A pinned model: where its files are, or where it is asked, and how an artefact's folder records it."""

import json
from pathlib import Path

from distill_dagster.config import (
    EndpointConfig,
    Section,
)
from distill_dagster.store import files


class ModelRef(Section):
    """A model that is pinned: where its files are, or where it is asked, and what it is called."""

    path: str = ""  # a folder that `from_pretrained` reads; "" behind an endpoint
    name: str  # for people: the hub's name, the folder's, or llama-1.2M
    revision: str  # the hub's commit, or a hash of the files
    dtype: str = "auto"
    parameters: int = 0  # 0: not known
    endpoint: EndpointConfig | None = None


def write_ref(folder: Path, ref: ModelRef) -> None:
    """Record in an artefact's folder which model it holds; weights inside it are named relative to it."""
    (folder / files.MODEL_FILE).write_text(relative_to(ref, folder).model_dump_json(indent=1) + "\n", encoding="utf-8")


def relative_to(ref: ModelRef, folder: Path) -> ModelRef:
    """The ref with its path seen from the folder, where it is inside it."""
    path = Path(ref.path)
    return ref.model_copy(update={"path": str(path.relative_to(folder))}) if path.is_relative_to(folder) else ref


def resolved_in(ref: ModelRef, folder: Path) -> ModelRef:
    """The ref with its path seen from the folder that it was published in; an absolute path stays as it is."""
    return ref.model_copy(update={"path": str(folder / ref.path)}) if ref.path else ref


def read_ref(folder: Path) -> ModelRef:
    """The model that a published artefact (`teacher_model`, `student_base`, `student_checkpoint`) holds."""
    ref = ModelRef(**json.loads((folder / files.MODEL_FILE).read_text(encoding="utf-8")))
    return resolved_in(ref, folder)
