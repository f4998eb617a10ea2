"""Who answers: a local model, or an endpoint that speaks OpenAI's protocol; both behind `base.Teacher`."""

from distill_dagster.config import GenerationConfig
from distill_dagster.models.ref import ModelRef
from distill_dagster.teachers.protocol import Teacher


def open_teacher(ref: ModelRef, generation: GenerationConfig, device: str) -> Teacher:
    """The teacher that a ref names; a local one loads its weights when it is first asked.

    Raises:
        TeacherError: the environment variable with the endpoint's key is not set.
    """
    if ref.endpoint is not None:
        from distill_dagster.teachers.endpoint import ApiTeacher

        return ApiTeacher(ref.endpoint, generation)
    from distill_dagster.teachers.local import LocalTeacher

    return LocalTeacher(ref, generation, device)
