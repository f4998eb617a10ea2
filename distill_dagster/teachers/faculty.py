"""Who answers in a project: the pinned teachers, the panel beside them, and the judge.

`teacher_model` records it once, with revisions. What only says how an endpoint is asked (limits, price, the key's
variable) is taken from the config each time, so that a new price makes nothing stale.
"""

from collections.abc import Sequence
from pathlib import Path

from distill_dagster.config import EndpointConfig, TeacherConfig, TeacherSource
from distill_dagster.models.pinning import pin
from distill_dagster.records import canonical_json, sha256
from distill_dagster.requests import Faculty, ModelRef, PrepareRequest, read_faculty
from distill_dagster.teachers.identity import revision_of


def endpoint_ref(endpoint: EndpointConfig) -> ModelRef:
    """An endpoint's model as a ref."""
    return ModelRef(name=endpoint.model, revision=endpoint.revision or revision_of(endpoint), endpoint=endpoint)


def pin_source(source: TeacherSource) -> ModelRef:
    """The pinned teacher of a source; ModelError where a local one is not there."""
    if source.endpoint is not None:
        return endpoint_ref(source.endpoint)
    assert source.model is not None, "a source is a model or an endpoint"
    return pin(source.model)


def pin_faculty(request: PrepareRequest, own: Sequence[tuple[float, ModelRef]]) -> Faculty:
    """The faculty around a project's own teachers."""
    judge = pin_source(request.judge) if request.judge else None
    return Faculty(teachers=list(own), panel=[pin_source(source) for source in request.panel], judge=judge)


def faculty_version(faculty: Faculty) -> str:
    """A lone teacher's revision; for several, a hash of names, revisions and weights."""
    lone = len(faculty.teachers) == 1 and not faculty.panel and faculty.judge is None
    identity = [
        [[weight, ref.name, ref.revision] for weight, ref in faculty.teachers],
        [[ref.name, ref.revision] for ref in faculty.panel],
        [faculty.judge.name, faculty.judge.revision] if faculty.judge else None,
    ]
    return faculty.teachers[0][1].revision if lone else sha256(canonical_json(identity))


def current_faculty(folder: Path, config: TeacherConfig) -> Faculty:
    """The faculty that a published `teacher_model` records, asked as the present config says."""
    faculty = read_faculty(folder)
    own = [source.endpoint for source in config.mix] if config.mix else [config.endpoint]
    panel = [source.endpoint for source in config.best_of.teachers] if config.best_of else []
    judge = config.best_of.judge.endpoint if config.best_of and config.best_of.judge else None
    return Faculty(
        teachers=[(w, _asked(ref, now)) for (w, ref), now in zip(faculty.teachers, own, strict=True)],
        panel=[_asked(ref, now) for ref, now in zip(faculty.panel, panel, strict=True)],
        judge=_asked(faculty.judge, judge) if faculty.judge else None,
    )


def _asked(ref: ModelRef, now: EndpointConfig | None) -> ModelRef:
    return ref.model_copy(update={"endpoint": now}) if ref.endpoint is not None else ref
