"""Who answers in a project: the pinned teachers, the panel beside them, and the judge.

`teacher_model` records them with their revisions. The settings that only say how an endpoint is asked (limits, price,
the key's variable) are read from the config at each run, so that a new price makes nothing stale.
"""

import json
from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import Any

from distill_dagster.config import EndpointConfig, Section, TeacherConfig, TeacherSource
from distill_dagster.errors import DataError
from distill_dagster.models.pinning import pin
from distill_dagster.models.ref import ModelRef
from distill_dagster.store import files
from distill_dagster.store.hashing import canonical_json, sha256
from distill_dagster.store.result import Billing

REVISION_CHARACTERS = 12


class Faculty(Section):
    """Who answers: one of `teachers` and the whole `panel` answer each row; the judge picks one of the answers."""

    teachers: list[tuple[float, ModelRef]]  # with weights; the first one is *the* teacher
    panel: list[ModelRef] = []
    judge: ModelRef | None = None

    @property
    def needs_device(self) -> bool:
        """Whether any of them runs on this machine."""
        return any(ref.endpoint is None for ref in self.refs)

    @property
    def billing(self) -> Billing:
        """Whether answers cost money: none of them, by an unknown price, or by the endpoints' prices."""
        words = {ref.billing for ref in self.answering}
        return "priced" if "priced" in words else "no price" if "no price" in words else "local"

    @property
    def refs(self) -> list[ModelRef]:
        """All models that answer or judge; the first one is *the* teacher."""
        return [*self.answering, *([self.judge] if self.judge else [])]

    @property
    def answering(self) -> list[ModelRef]:
        """All models that answer rows; the first one is *the* teacher."""
        return [*(ref for _, ref in self.teachers), *self.panel]


def write_faculty(folder: Path, faculty: Faculty) -> None:
    """Record the faculty in the folder of `teacher_model`; paths as `write_ref` writes them."""
    own = [(weight, ref.relative_to(folder)) for weight, ref in faculty.teachers]
    faculty = faculty.model_copy(update={"teachers": own})
    (folder / files.FACULTY_FILE).write_text(faculty.model_dump_json(indent=1) + "\n", encoding="utf-8")


def read_faculty(folder: Path) -> Faculty:
    """The faculty that a published `teacher_model` records; paths as `read_ref` returns them."""
    faculty = Faculty(**json.loads((folder / files.FACULTY_FILE).read_text(encoding="utf-8")))
    teachers = [(weight, ref.resolved_in(folder)) for weight, ref in faculty.teachers]
    return faculty.model_copy(update={"teachers": teachers})


def endpoint_revision(endpoint: EndpointConfig) -> str:
    """The revision that the user gave, or else a hash of the settings that shape the answers."""
    return endpoint.revision or sha256(canonical_json(endpoint.shaping))[:REVISION_CHARACTERS]


def endpoint_ref(endpoint: EndpointConfig) -> ModelRef:
    """An endpoint's model as a ref."""
    return ModelRef(name=endpoint.model, revision=endpoint_revision(endpoint), endpoint=endpoint)


def pin_source(source: TeacherSource, prompt_date: date | None = None) -> ModelRef:
    """The pinned teacher of a source; ModelError if a local one does not exist."""
    if source.endpoint is not None:
        return endpoint_ref(source.endpoint)
    assert source.model is not None, "a source is a model or an endpoint"
    return pin(source.model, prompt_date)


def pin_faculty(
    teachers: Sequence[tuple[float, ModelRef]],
    panel: Sequence[TeacherSource],
    judge: TeacherSource | None,
    prompt_date: date | None = None,
) -> Faculty:
    """The faculty of pinned teachers, with the panel and the judge pinned too."""
    pinned = [pin_source(source, prompt_date) for source in panel]
    return Faculty(teachers=list(teachers), panel=pinned, judge=pin_source(judge, prompt_date) if judge else None)


def faculty_version(faculty: Faculty) -> str:
    """The revision of a single local teacher; for any other faculty a hash of all that shapes its answers."""
    first = faculty.teachers[0][1]
    if len(faculty.teachers) == 1 and first.endpoint is None and not faculty.panel and faculty.judge is None:
        return first.version
    identity = [
        [[weight, *_identity(ref)] for weight, ref in faculty.teachers],
        [_identity(ref) for ref in faculty.panel],
        _identity(faculty.judge) if faculty.judge else None,
    ]
    return sha256(canonical_json(identity))


def _identity(ref: ModelRef) -> list[Any]:
    """Name, revision and precision, and all that shapes an endpoint's answers: a `revision` that the user gave does not
    change with the model or the URL beside it."""
    return [ref.name, ref.version, ref.dtype, _shaping(ref.endpoint)]


def current_faculty(folder: Path, config: TeacherConfig) -> Faculty:
    """The faculty that a published `teacher_model` records, with the endpoint settings of the present config.

    Raises:
        DataError: the config names other teachers, or other settings that shape their answers.
    """
    faculty = read_faculty(folder)
    own = [source.endpoint for source in config.mix] if config.mix else [config.endpoint]
    panel = [source.endpoint for source in config.best_of.teachers] if config.best_of else []
    judge = config.best_of.judge.endpoint if config.best_of and config.best_of.judge else None
    recorded = faculty.refs
    present = [*own, *panel, *([judge] if config.best_of and config.best_of.judge else [])]
    if [_shaping(ref.endpoint) for ref in recorded] != [_shaping(endpoint) for endpoint in present]:
        raise DataError(
            f"teacher_model records {', '.join(ref.name for ref in recorded)}; since then the config has changed who "
            "answers, or what shapes an endpoint's answers: materialize teacher_model first"
        )
    asked = [ref.model_copy(update={"endpoint": now}) for ref, now in zip(recorded, present, strict=True)]
    count = len(faculty.teachers)
    return Faculty(
        teachers=[(weight, ref) for (weight, _), ref in zip(faculty.teachers, asked[:count], strict=True)],
        panel=asked[count : count + len(faculty.panel)],
        judge=asked[-1] if faculty.judge else None,
    )


def _shaping(endpoint: EndpointConfig | None) -> dict[str, Any] | None:
    return endpoint.shaping if endpoint else None
