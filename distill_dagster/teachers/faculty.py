"""Who answers in a project: the pinned teachers, the panel beside them, and the judge.

`teacher_model` records it once, with revisions. What only says how an endpoint is asked (limits, price, the key's
variable) is taken from the config each time, so that a new price makes nothing stale.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from distill_dagster.config import EndpointConfig, Section, TeacherConfig, TeacherSource
from distill_dagster.config.teacher import SHAPING
from distill_dagster.errors import DataError
from distill_dagster.models.pinning import pin
from distill_dagster.models.ref import ModelRef
from distill_dagster.store import files
from distill_dagster.store.hashing import canonical_json, sha256
from distill_dagster.teachers.endpoint_identity import revision_of
from distill_dagster.training.specs import PrepareSpec


class Faculty(Section):
    """Who answers: each row is asked of one of `teachers` and of the whole `panel`; the judge picks among answers."""

    teachers: list[tuple[float, ModelRef]]  # with weights; the first one is what people call the teacher
    panel: list[ModelRef] = []
    judge: ModelRef | None = None

    @property
    def needs_device(self) -> bool:
        """Whether any of them runs here."""
        refs = [*(ref for _, ref in self.teachers), *self.panel, *([self.judge] if self.judge else [])]
        return any(ref.endpoint is None for ref in refs)


def write_faculty(folder: Path, faculty: Faculty) -> None:
    """Record in the folder of `teacher_model` who answers; paths as `write_ref` does."""
    own = [(weight, ref.relative_to(folder)) for weight, ref in faculty.teachers]
    faculty = faculty.model_copy(update={"teachers": own})
    (folder / files.FACULTY_FILE).write_text(faculty.model_dump_json(indent=1) + "\n", encoding="utf-8")


def read_faculty(folder: Path) -> Faculty:
    """Who answers, from the published `teacher_model`; paths as `read_ref` gives them."""
    faculty = Faculty(**json.loads((folder / files.FACULTY_FILE).read_text(encoding="utf-8")))
    teachers = [(weight, ref.resolved_in(folder)) for weight, ref in faculty.teachers]
    return faculty.model_copy(update={"teachers": teachers})


def endpoint_ref(endpoint: EndpointConfig) -> ModelRef:
    """An endpoint's model as a ref."""
    return ModelRef(name=endpoint.model, revision=endpoint.revision or revision_of(endpoint), endpoint=endpoint)


def pin_source(source: TeacherSource) -> ModelRef:
    """The pinned teacher of a source; ModelError where a local one is not there."""
    if source.endpoint is not None:
        return endpoint_ref(source.endpoint)
    assert source.model is not None, "a source is a model or an endpoint"
    return pin(source.model)


def pin_faculty(request: PrepareSpec, own: Sequence[tuple[float, ModelRef]]) -> Faculty:
    """The faculty around a project's own teachers."""
    judge = pin_source(request.judge) if request.judge else None
    return Faculty(teachers=list(own), panel=[pin_source(source) for source in request.panel], judge=judge)


def faculty_version(faculty: Faculty) -> str:
    """A lone local teacher's revision; else a hash of whatever would make an answer another one."""
    first = faculty.teachers[0][1]
    if len(faculty.teachers) == 1 and first.endpoint is None and not faculty.panel and faculty.judge is None:
        return first.revision
    identity = [
        [[weight, *_identity(ref)] for weight, ref in faculty.teachers],
        [_identity(ref) for ref in faculty.panel],
        _identity(faculty.judge) if faculty.judge else None,
    ]
    return sha256(canonical_json(identity))


def _identity(ref: ModelRef) -> list[Any]:
    """Name and revision, precision, and of an endpoint all that shapes its answers: a `revision` of the user's own
    says nothing of the model or the URL beside it."""
    return [ref.name, ref.revision, ref.dtype, ref.endpoint.model_dump(include=SHAPING) if ref.endpoint else None]


def current_faculty(folder: Path, config: TeacherConfig) -> Faculty:
    """The faculty that a published `teacher_model` records, asked as the present config says.

    Raises:
        DataError: the config names other teachers by now; `teacher_model` has to be made first.
    """
    faculty = read_faculty(folder)
    own = [source.endpoint for source in config.mix] if config.mix else [config.endpoint]
    panel = [source.endpoint for source in config.best_of.teachers] if config.best_of else []
    judge = config.best_of.judge.endpoint if config.best_of and config.best_of.judge else None
    recorded = [*(ref for _, ref in faculty.teachers), *faculty.panel, *([faculty.judge] if faculty.judge else [])]
    present = [*own, *panel, *([judge] if config.best_of and config.best_of.judge else [])]
    if [_shaping(ref.endpoint) for ref in recorded] != [_shaping(endpoint) for endpoint in present]:
        raise DataError(
            f"teacher_model records {', '.join(ref.name for ref in recorded)}, and the config names other teachers by "
            "now: materialize teacher_model first"
        )
    asked = [ref.model_copy(update={"endpoint": now}) for ref, now in zip(recorded, present, strict=True)]
    count = len(faculty.teachers)
    return Faculty(
        teachers=[(weight, ref) for (weight, _), ref in zip(faculty.teachers, asked[:count], strict=True)],
        panel=asked[count : count + len(faculty.panel)],
        judge=asked[-1] if faculty.judge else None,
    )


def _shaping(endpoint: EndpointConfig | None) -> dict[str, Any] | None:
    return endpoint.model_dump(include=SHAPING) if endpoint else None
