"""What `where`, `chat` and `serve` find of a project: the forms in which the student is published."""

import importlib.util
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

from pydantic import BaseModel

from distill_dagster.config import EXPORT_FORMATS, ExportFormat
from distill_dagster.errors import ComputeError, ConfigError, NotPublishedError
from distill_dagster.lineage import settings
from distill_dagster.lineage.exports import export_of
from distill_dagster.lineage.freshness import is_fresh
from distill_dagster.lineage.snapshot import Snapshot
from distill_dagster.lineage.stages import stages_of
from distill_dagster.lineage.student import RELEASED, STAGE, student_path, student_ref
from distill_dagster.models.ref import ModelRef
from distill_dagster.release.export.formats import GGUF_FILE, family, require_packages
from distill_dagster.release.export.llama_server import command
from distill_dagster.release.export.talking import Talker, export_talker, model_talker
from distill_dagster.teachers.faculty import current_faculty

CHECKPOINT = "student"
CHECKPOINTS = {CHECKPOINT: STAGE, "released": RELEASED}  # form -> its stage
MODELS = {"teacher": "teacher_model", "baseline": "student_base", **CHECKPOINTS}
SERVING = ("fastapi", "uvicorn")  # what `transformers serve` runs on


class PublishedForm(BaseModel, frozen=True):
    """A form in which the student is published."""

    form: str  # student, released, or a format
    state: str  # fresh or stale
    bytes_on_disk: int
    path: str


def kind_of(form: str) -> str:
    """The key of the form's script."""
    return "transformers" if form in CHECKPOINTS else family(_format(form))


def forms_of(look: Snapshot, form: str) -> list[PublishedForm]:
    """Every form that is published.

    Raises:
        ConfigError: `form` is none.
        NotPublishedError: `form` is not published.
    """
    stages = {**CHECKPOINTS, **{name: export_of(name) for name in EXPORT_FORMATS}}
    wanted = stages[form if form in CHECKPOINTS else _format(form)]
    if form not in CHECKPOINTS and look.find(wanted) is None:
        raise _not_exported(form)
    look.get(wanted)
    if student_path(look.project.store, wanted) is None:
        raise NotPublishedError(f"{wanted} holds no model: no student was released yet")
    found = {name: student_path(look.project.store, stage) for name, stage in stages.items()}
    return [_form_of(look, name, stages[name], path) for name, path in found.items() if path]


def _form_of(look: Snapshot, form: str, stage: str, path: Path) -> PublishedForm:
    wanted = stage in [own.name for own in stages_of(look.config)]
    state = "fresh" if wanted and is_fresh(look, stage) else "stale"
    size = sum(file.stat().st_size for file in path.rglob("*") if file.is_file())
    return PublishedForm(form=form, state=state, bytes_on_disk=size, path=str(path))


def _format(name: str, models: Iterable[str] = CHECKPOINTS) -> ExportFormat:
    for form in EXPORT_FORMATS:
        if form == name:
            return form
    raise ConfigError(
        f"no model or export is named {name!r}: choose {', '.join(models)}, or a format that `export.formats` lists, "
        f"of {', '.join(EXPORT_FORMATS)}"
    )


def _export_folder(look: Snapshot, form: ExportFormat) -> Path:
    """The files of a published export.

    Raises:
        NotPublishedError: there is none.
        ComputeError: its runtime is not installed.
    """
    path = student_path(look.project.store, export_of(form))
    if path is None:
        raise _not_exported(form)
    require_packages(form)
    return path


def _not_exported(form: str) -> NotPublishedError:
    return NotPublishedError(
        f"the student is not exported as {form}: add it to `export.formats`, and `distill-dagster run`"
    )


def talkers_of(look: Snapshot, names: Sequence[str], device: str) -> dict[str, Talker]:
    """The partners of a chat, by name.

    Raises:
        ConfigError: a name is that of no partner.
        NotPublishedError: a model is not published.
    """
    config, longest = look.config, settings.answer_tokens(look.config)
    talkers: dict[str, Talker] = {}
    for name in names:
        if name in MODELS:
            ref = _ref(look, name)
            talkers[name] = model_talker(ref, config, longest, look.project.responses, device)
        else:
            form = _format(name, MODELS)
            talkers[name] = export_talker(form, _export_folder(look, form), longest, config.export.max_length)
    return talkers


def _ref(look: Snapshot, name: str) -> ModelRef:
    if name == "teacher":  # of several, the first
        return current_faculty(look.get("teacher_model").folder, look.config.teacher).teachers[0][1]
    if name == "released" and student_path(look.project.store, RELEASED) is None:
        raise NotPublishedError("no student was released yet: `distill-dagster run` with a section `release`")
    return student_ref(look.get(MODELS[name]).folder, look.config)


def server_of(look: Snapshot, form: ExportFormat | None, host: str, port: int) -> tuple[list[str], str]:
    """The command that serves the student, and what a request names as its model.

    Raises:
        NotPublishedError: it is not published.
        ConfigError: no server takes the format.
        ComputeError: the server is not installed.
    """
    if form is None:
        folder = str(look.get(STAGE) and student_path(look.project.store))
        if missing := [name for name in SERVING if importlib.util.find_spec(name) is None]:
            raise ComputeError(f"`transformers serve` needs {', '.join(missing)}: install `distill-dagster[export]`")
        serve = [sys.executable, "-m", "transformers.cli.transformers", "serve", folder]
        return [*serve, "--host", host, "--port", str(port)], folder
    if family(form) != "gguf":
        raise ConfigError(f"{form} has no server here: serve a GGUF export, or leave --export out")
    file = _export_folder(look, form) / GGUF_FILE
    return command(file, host=host, port=port, max_length=look.config.export.max_length), form
