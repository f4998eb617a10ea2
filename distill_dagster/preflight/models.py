"""The models that a run would pin or build: whether they are there, can be read, and how many parameters they have.

a folder          config.json, weights in safetensors, no code of its own; config and tokenizer fit their use
a GGUF file       the same of its metadata
a hub name        the same of its small files, which are fetched; the weights are not
an architecture   transformers has it, and every one of its settings; its positions suffice for the rows

models/fitness.py has these checks. The stages that pin the models repeat them. What teacher and student need of each
other is looked at in pairing.py.
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from distill_dagster.config import ModelConfig
from distill_dagster.errors import ModelError, UserError
from distill_dagster.lineage.snapshot import Snapshot
from distill_dagster.models.entries import entry
from distill_dagster.models.fitness import Use, require_fit, student_use, teacher_use
from distill_dagster.models.gguf_file import gguf_of, read_gguf_config
from distill_dagster.models.pinning import count_parameters, fetch_small, hub_parameters
from distill_dagster.models.ref import read_ref
from distill_dagster.models.stored_forms import stored_form_problem
from distill_dagster.preflight.pending import Pending
from distill_dagster.preflight.requirement import LATER, Requirement
from distill_dagster.teachers.faculty import read_faculty

ROLES = {"teacher.model": "teacher", "student.model": "student"}
PUBLISHED = {"teacher": "teacher_model", "student": "student_base"}
Found = tuple[Literal["ok", "not checked"], str, int]  # state, words, parameters


@dataclass(slots=True)
class Models:
    """The requirements, and how many parameters `teacher` and `student` have where that is known.

    Without `whole`, neither transformers is imported nor the hub asked.
    """

    look: Snapshot
    whole: bool
    found: list[Requirement] = field(default_factory=list)
    parameters: dict[str, int] = field(default_factory=dict)
    fetched: dict[str, Path] = field(default_factory=dict)  # the small files of hub models, by name

    def inspect(self, pending: Pending) -> None:
        """Look at the models that would be pinned or built, and at those that were published."""
        for place, model in pending.models:
            self._note(place, ROLES.get(place), model)
        for role, asset in PUBLISHED.items():
            if asset not in pending.stages and pending.on_devices and self.look.find(asset):
                self._note(asset, role, None)

    def _note(self, of: str, role: str | None, model: ModelConfig | None) -> None:
        """Add what is found of a model; None: the one that the asset `of` published."""
        try:
            state, said, parameters = self._look_at(of, model) if model else ("ok", *_published(self.look, of))
        except UserError as e:
            state, said, parameters = "error", f"`{of}`: {e}", 0
        self.found.append(Requirement("model", of, state, said))
        if role and parameters:
            self.parameters[role] = parameters

    def _look_at(self, of: str, model: ModelConfig) -> Found:
        """State, words and parameters of a model that would be pinned or built; ModelError if that cannot work."""
        use = self._use(of)
        if model.architecture:
            return self._new(model, use)
        name = str(model.name)
        if file := gguf_of(name):
            return self._file(model, use, file)
        folder = Path(name).expanduser()
        if folder.is_dir():
            return self._existing(model, use, folder)
        if folder.is_absolute() or name.startswith("."):
            raise ModelError(f"model folder {folder} does not exist; correct its `name`, or name a model on the hub")
        return self._of_the_hub(model, use)

    def _use(self, of: str) -> Use:
        """What the model of a field of the config is for; of the teachers, only `teacher.model` can be fitted."""
        if of == "student.model":
            return student_use(self.look.config)
        use = teacher_use(self.look.config)
        return use if of == "teacher.model" else use.model_copy(update={"trains": False})

    def _new(self, model: ModelConfig, use: Use) -> Found:
        if not self.whole:
            return "not checked", f"a new {model.architecture}; {LATER}", 0
        from distill_dagster.models.building import sketch

        parameters = sketch(model, self.vocabulary(model))
        require_fit(model, use)
        return "ok", f"a new {model.architecture}, about {_size(parameters)}", parameters

    def _file(self, model: ModelConfig, use: Use, file: Path) -> Found:
        if not self.whole:
            return "not checked", f"{file}; {LATER}", 0
        require_fit(model, use)
        return "ok", f"{file}, {_size(0)}", 0

    def vocabulary(self, model: ModelConfig) -> int:
        """The size of the tokenizer that a new model will get; that of the teacher where it is known."""
        teacher = self.look.config.teacher.model
        if model.tokenizer != "teacher" or teacher is None:
            return model.vocab_size
        if teacher.name and (file := gguf_of(teacher.name)):
            size = getattr(read_gguf_config(file), "vocab_size", None)
        else:
            size = entry(Path(teacher.name).expanduser() / "config.json", "vocab_size") if teacher.name else None
        return size if isinstance(size, int) else teacher.vocab_size

    def _existing(self, model: ModelConfig, use: Use, folder: Path) -> Found:
        if self.whole:
            require_fit(model, use)
        elif problem := _form_problem(folder, use):
            raise ModelError(problem)
        parameters = count_parameters(folder)
        return "ok", f"{folder}, {_size(parameters)}", parameters

    def _of_the_hub(self, model: ModelConfig, use: Use) -> Found:
        name = str(model.name)
        if not self.whole:
            return "not checked", f"{name} of the hub; {LATER}", 0
        self.fetched[name] = fetch_small(name, model.revision)
        commit = self.fetched[name].name
        require_fit(model.model_copy(update={"revision": commit}), use)
        parameters = hub_parameters(name, commit)
        return "ok", f"{name} at {commit[:12]}, {_size(parameters)}", parameters


def _form_problem(folder: Path, use: Use) -> str | None:
    """Why a folder's weights cannot be used, as far as this shows without transformers."""
    is_quantized = (folder / "config.json").is_file() and entry(folder / "config.json", "quantization_config")
    return None if is_quantized and not use.trains else stored_form_problem(folder, trains=use.trains)


def _published(look: Snapshot, asset: str) -> tuple[str, int]:
    """The models that were pinned or built before: a folder may be gone since."""
    folder = look.get(asset).described
    refs = read_faculty(folder).refs if asset == "teacher_model" else [read_ref(folder)]
    if gone := [ref.path for ref in refs if ref.endpoint is None and not Path(ref.path).is_dir()]:
        raise ModelError(f"{gone[0]} is gone: restore it, or materialize {asset} again")
    return ", ".join(ref.name for ref in refs), refs[0].parameters


def _size(parameters: int) -> str:
    return f"{parameters:,} parameters" if parameters else "size not known"
