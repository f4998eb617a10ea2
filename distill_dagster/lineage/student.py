"""Where the student is, and how it answers.

`store/student` leads to the present student, `store/released` to the released one, and `store/exports/gguf_q8_0` to an
export. Without links, each is in its version's own folder.
"""

from pathlib import Path

from distill_dagster.config import EXPORT_FORMATS, DistillConfig
from distill_dagster.lineage.exports import export_of
from distill_dagster.lineage.settings import student_dtype
from distill_dagster.models.ref import ModelRef, read_ref
from distill_dagster.store import files
from distill_dagster.store.artefacts import Store
from distill_dagster.store.links import leads, point
from distill_dagster.store.manifest import Manifest

STAGE, RELEASED = "student_checkpoint", "released_student"
LINKS = {  # stage -> its link
    STAGE: "student",
    RELEASED: "released",
    **{export_of(form): f"exports/{form}" for form in EXPORT_FORMATS},
}
SNIPPET = """from transformers import AutoModelForCausalLM, AutoTokenizer
tokenizer = AutoTokenizer.from_pretrained({path!r})
model = AutoModelForCausalLM.from_pretrained({path!r})"""


def link_student(store: Store, manifest: Manifest) -> Path:
    """Let the link lead to the published student, if there is one; returns the path to load it from."""
    link, weights = store.root / LINKS[manifest.asset], manifest.file(files.WEIGHTS_FOLDER)
    link.parent.mkdir(parents=True, exist_ok=True)
    return link if manifest.has(files.WEIGHTS_FOLDER) and point(link, weights) else weights


def student_path(store: Store, stage: str = STAGE) -> Path | None:
    """The path to load the present student from, the released one (`RELEASED`), or an export; None if there is none."""
    manifest = store.find(stage)
    if manifest is None or not manifest.has(files.WEIGHTS_FOLDER):
        return None
    link, weights = store.root / LINKS[stage], manifest.file(files.WEIGHTS_FOLDER)
    return link if leads(link, weights) else weights


def student_place(store: Store) -> str | None:
    """Where the present student is, for people; None if there is none. Nothing is copied from a bucket."""
    manifest = store.find(STAGE)
    if manifest is None or not manifest.has(files.WEIGHTS_FOLDER):
        return None
    link, weights = store.root / LINKS[STAGE], manifest.place_of(files.WEIGHTS_FOLDER)
    if not weights.is_dir():
        return f"{manifest.uri}/{files.WEIGHTS_FOLDER}"
    return str(link if leads(link, weights) else weights)


def student_ref(folder: Path, config: DistillConfig) -> ModelRef:
    """The student of an artefact, before or after a training, in the precision that the config asks for now.

    The artefact records that of the time when it was made, and another one changes no weight.
    """
    return read_ref(folder).model_copy(update={"dtype": student_dtype(config)})


def snippet(path: Path) -> str:
    """Three lines of Python that load the student."""
    return SNIPPET.format(path=str(path))
