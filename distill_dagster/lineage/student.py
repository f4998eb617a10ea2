"""Where the student is: `store/student`, a link to the current version, or the version's own folder without links."""

from pathlib import Path

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


def snippet(path: Path) -> str:
    """Three lines of Python that load the student."""
    return SNIPPET.format(path=str(path))
