"""A pinned model, and model.json, which records it in an artefact's folder.

    {"path": "model", "name": "llama-1.2M", "revision": "5f1c…", "dtype": "auto", "parameters": 1203456}

The path of weights that lie in the artefact's own folder is stored relative to it, because publishing moves the folder.
"""

import json
from datetime import date
from pathlib import Path

from distill_dagster.config import EndpointConfig, Section
from distill_dagster.store import files
from distill_dagster.store.hashing import canonical_json, sha256
from distill_dagster.store.result import Billing


class ModelRef(Section):
    """A model and its revision: a folder of files, or an endpoint that serves it."""

    path: str = ""  # a folder that `from_pretrained` reads; "" behind an endpoint
    name: str  # for people: the hub's name, the folder's, or llama-1.2M
    revision: str  # the hub's commit, or a hash of the files
    dtype: str = "auto"
    parameters: int = 0  # 0: not known
    endpoint: EndpointConfig | None = None
    prompt_date: date | None = None  # the project's `prompt_date`, if the model's chat template writes a date

    @property
    def version(self) -> str:
        """What tells the model apart from any that answers differently: its revision, and the date in its prompts."""
        if self.prompt_date is None:
            return self.revision
        return sha256(canonical_json([self.revision, self.prompt_date.isoformat()]))

    @property
    def billing(self) -> Billing:
        """Whether the model's replies cost money: none, by an unknown price, or by the endpoint's price."""
        if self.endpoint is None:
            return "local"
        return "priced" if self.endpoint.price else "no price"

    def relative_to(self, folder: Path) -> "ModelRef":
        """The same model as a file in `folder` records it: a path inside the folder is relative to it."""
        inside = Path(self.path).is_relative_to(folder)
        return self.model_copy(update={"path": str(Path(self.path).relative_to(folder))}) if inside else self

    def resolved_in(self, folder: Path) -> "ModelRef":
        """The same model as read from a file in `folder`: a relative path becomes one from there."""
        return self.model_copy(update={"path": str(folder / self.path)}) if self.path else self


def write_ref(folder: Path, ref: ModelRef) -> None:
    """Record in an artefact's folder which model it holds."""
    text = ref.relative_to(folder).model_dump_json(indent=1) + "\n"
    (folder / files.MODEL_FILE).write_text(text, encoding="utf-8")


def read_ref(folder: Path) -> ModelRef:
    """The model that a published artefact (`teacher_model`, `student_base`, `student_checkpoint`) holds."""
    return ModelRef(**json.loads((folder / files.MODEL_FILE).read_text(encoding="utf-8"))).resolved_in(folder)
