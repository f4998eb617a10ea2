"""Models that answer: run on this machine, or behind an endpoint that speaks OpenAI's protocol.

Both are a `Teacher` (protocol.py). Whoever asks one, the answers of a shard or a benchmark of any model, asks this way.
"""

from distill_dagster.config import GenerationConfig
from distill_dagster.models.ref import ModelRef
from distill_dagster.teachers.batching.records import Batching
from distill_dagster.teachers.protocol import Teacher


def open_teacher(ref: ModelRef, generation: GenerationConfig, device: str, batching: Batching | None = None) -> Teacher:
    """The model that `ref` names, ready to be asked; a local model loads its weights at the first request.

    Without `batching` no batch is sent, and `batch: true` has no effect.

    Raises:
        TeacherError: the environment variable with the endpoint's key is not set.
    """
    if ref.endpoint is not None:
        from distill_dagster.teachers.endpoint import ApiTeacher

        return ApiTeacher(ref.endpoint, generation, batching)
    from distill_dagster.teachers.local import LocalTeacher

    return LocalTeacher(ref, generation, device)
