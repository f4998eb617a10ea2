"""The models that a run would pin or build: whether they are there, can be read, and how many parameters they have.

a folder          config.json, weights in safetensors, tokenizer with a chat template, no code of its own
a hub name        the same of its small files, which are fetched; the weights are not
an architecture   transformers has it, and every one of its settings
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from distill_dagster.config import ModelConfig
from distill_dagster.errors import ModelError, UserError
from distill_dagster.lineage.snapshot import Snapshot
from distill_dagster.models.entries import entry
from distill_dagster.models.pinning import count_parameters, fetch_small_files, hub_parameters
from distill_dagster.models.ref import read_ref
from distill_dagster.preflight.pending import Pending
from distill_dagster.preflight.requirement import Requirement
from distill_dagster.teachers.faculty import read_faculty

ROLES = {"teacher.model": "teacher", "student.model": "student"}
PUBLISHED = {"teacher": "teacher_model", "student": "student_base"}
LATER = "`distill-dagster check` looks at it"


@dataclass(slots=True)
class Models:
    """The requirements, and how many parameters `teacher` and `student` have where that is known.

    Without `whole`, neither transformers is imported nor the hub asked.
    """

    look: Snapshot
    whole: bool
    found: list[Requirement] = field(default_factory=list)
    parameters: dict[str, int] = field(default_factory=dict)

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
            state, said, parameters = self._look_at(model) if model else ("ok", *_published(self.look, of))
        except UserError as e:
            state, said, parameters = "error", f"`{of}`: {e}", 0
        self.found.append(Requirement("model", of, state, said))
        if role and parameters:
            self.parameters[role] = parameters

    def _look_at(self, model: ModelConfig) -> tuple[Literal["ok", "not checked"], str, int]:
        """State, words and parameters of a model that would be pinned or built; ModelError if that cannot work."""
        if model.architecture:
            return self._new(model)
        folder = Path(str(model.name)).expanduser()
        if folder.is_dir():
            return self._existing(folder)
        if folder.is_absolute() or str(model.name).startswith("."):
            raise ModelError(f"model folder {folder} does not exist; correct its `name`, or name a model on the hub")
        return self._of_the_hub(str(model.name), model.revision)

    def _new(self, model: ModelConfig) -> tuple[Literal["ok", "not checked"], str, int]:
        if not self.whole:
            return "not checked", f"a new {model.architecture}; {LATER}", 0
        from distill_dagster.models.building import sketch

        parameters = sketch(model, self._vocabulary(model))
        return "ok", f"a new {model.architecture}, about {_size(parameters)}", parameters

    def _vocabulary(self, model: ModelConfig) -> int:
        """The size of the tokenizer that a new model will get; that of the teacher where it is known."""
        teacher = self.look.config.teacher.model
        if model.tokenizer != "teacher" or teacher is None:
            return model.vocab_size
        size = entry(Path(teacher.name).expanduser() / "config.json", "vocab_size") if teacher.name else None
        return size if isinstance(size, int) else teacher.vocab_size

    def _existing(self, folder: Path) -> tuple[Literal["ok", "not checked"], str, int]:
        if not (folder / "config.json").is_file():
            raise ModelError(f"{folder} holds no config.json: name the folder that `save_pretrained` wrote")
        parameters = count_parameters(folder)
        if self.whole:
            check_files(folder)
        return "ok", f"{folder}, {_size(parameters)}", parameters

    def _of_the_hub(self, name: str, revision: str | None) -> tuple[Literal["ok", "not checked"], str, int]:
        if not self.whole:
            return "not checked", f"{name} of the hub; {LATER}", 0
        folder = fetch_small_files(name, revision)
        check_files(folder)
        parameters = hub_parameters(name, folder.name)
        return "ok", f"{name} at {folder.name[:12]}, {_size(parameters)}", parameters


def check_files(folder: Path) -> None:
    """Check the small files of a model's folder against each other. Every such check is called from here.

    Raises:
        ModelError: it needs its own code, or its tokenizer cannot be read or has no chat template.
    """
    from distill_dagster.models.loading import open_tokenizer
    from distill_dagster.models.own_code import refuse_own_code

    refuse_own_code(folder)
    open_tokenizer(folder)


def _published(look: Snapshot, asset: str) -> tuple[str, int]:
    """The models that were pinned or built before: a folder may be gone since."""
    folder = look.get(asset).folder
    refs = read_faculty(folder).refs if asset == "teacher_model" else [read_ref(folder)]
    if gone := [ref.path for ref in refs if ref.endpoint is None and not Path(ref.path).is_dir()]:
        raise ModelError(f"{gone[0]} is gone: restore it, or materialize {asset} again")
    return ", ".join(ref.name for ref in refs), refs[0].parameters


def _size(parameters: int) -> str:
    return f"{parameters:,} parameters" if parameters else "size not known"
