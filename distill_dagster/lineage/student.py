"""Where the student is (`store/student`, or its version's own folder without links), and how it answers."""

from pathlib import Path

from distill_dagster.config import DistillConfig
from distill_dagster.lineage.settings import student_dtype
from distill_dagster.models.ref import ModelRef, read_ref
from distill_dagster.store import files
from distill_dagster.store.artefacts import Store
from distill_dagster.store.links import leads, point
from distill_dagster.store.manifest import Manifest

LINK = "student"
STAGE = "student_checkpoint"
SNIPPET = """from transformers import AutoModelForCausalLM, AutoTokenizer
tokenizer = AutoTokenizer.from_pretrained({path!r})
model = AutoModelForCausalLM.from_pretrained({path!r})"""


def link_student(store: Store, manifest: Manifest) -> Path:
    """Let the link lead to the published student; returns the path to load it from."""
    link, weights = store.root / LINK, manifest.file(files.WEIGHTS_FOLDER)
    return link if point(link, weights) else weights


def student_path(store: Store) -> Path | None:
    """The path to load the current student from; None if there is none."""
    manifest = store.find(STAGE)
    if manifest is None:
        return None
    link, weights = store.root / LINK, manifest.file(files.WEIGHTS_FOLDER)
    return link if leads(link, weights) else weights


def student_ref(folder: Path, config: DistillConfig) -> ModelRef:
    """The student of an artefact, before or after a training, in the precision that the config asks for now.

    The artefact records that of the time when it was made, and another one changes no weight.
    """
    return read_ref(folder).model_copy(update={"dtype": student_dtype(config)})


def snippet(path: Path) -> str:
    """Three lines of Python that load the student."""
    return SNIPPET.format(path=str(path))
