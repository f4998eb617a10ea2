"""Whether a training fits its device: the memory plan of the step, from the model's config and the settings.

Requirement("memory", "student_checkpoint", "error", "peak 143.9 GB … of 79.6 GB of the GPU: …; these would fit: …")

The model's config is read, and no weight. A model that cannot be followed, such as one that routes tokens to experts,
is left to the count by parameter in devices.py.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from distill_dagster.config import LogitsConfig, ModelConfig, StudentTrainingConfig, TrainingConfig
from distill_dagster.config.space import Point
from distill_dagster.config.sweep import at, in_words
from distill_dagster.errors import ModelError, TrainingError
from distill_dagster.lineage.gold_student import CHECKPOINT
from distill_dagster.lineage.rounds import student_of
from distill_dagster.models.loading import dtype_name
from distill_dagster.models.ref import read_ref
from distill_dagster.preflight.models import PUBLISHED, Models
from distill_dagster.preflight.pending import Pending, trained_by
from distill_dagster.preflight.requirement import Requirement
from distill_dagster.process import GB
from distill_dagster.training.memory.state import WEIGHT_BYTES

TIGHT = 0.9  # share of the memory above which a training gets a warning


@dataclass(frozen=True, slots=True)
class Room:
    """The memory of the devices that a step leases, in GB, for each of the processes that share the step."""

    has: float
    where: str  # of the GPU | of main memory
    device: str  # cuda | cpu
    ranks: int = 1  # processes that share a training


def training_of(stage: str, pending: Pending) -> TrainingConfig | None:
    """The training that a stage does; None: it trains nothing."""
    config, role = pending.config, trained_by(stage)
    if role != "student":
        return config.teacher.fit if role == "teacher" else None
    training = config.student.training
    return training.on_text if stage == CHECKPOINT else training.start if stage == student_of(0) else training


def _beside(training: TrainingConfig, pending: Pending, models: Models, device: str) -> int | None:
    """Bytes of the teacher's weights where it runs beside the student, else 0; None if its size is not known."""
    teacher = pending.config.teacher.model
    if not isinstance(training, StudentTrainingConfig) or not training.reads_teacher or teacher is None:
        return 0
    size = models.parameters.get("teacher")
    return WEIGHT_BYTES[dtype_name(teacher.dtype, device)] * size if size else None


def training_memory(stage: str, pending: Pending, models: Models, room: Room) -> Requirement | None:
    """The requirement of a training; None where its model's config is not at hand, or cannot be followed."""
    training, logits = training_of(stage, pending), pending.config.teacher.logits
    try:
        config = _config_of("teacher" if stage == "teacher_model" else "student", pending, models)
        beside = _beside(training, pending, models, room.device) if training else None
        if training is None or config is None or beside is None:
            return None
        return _heaviest(stage, config, _tried(stage, training, pending), logits, room, beside)
    except TrainingError as e:
        return Requirement("memory", stage, "error", str(e))
    except ModelError:
        return None  # the model's own requirement says it
    except RuntimeError:
        return None


def _tried(stage: str, training: TrainingConfig, pending: Pending) -> list[tuple[TrainingConfig, Point]]:
    """The training, or those points of a sweep that take most memory."""
    sweep = pending.config.student.sweep
    if stage != "student_sweep" or sweep is None:
        return [(training, {})]
    return [(at(pending.config.student.training, point), point) for point in sweep.heaviest()]


def _heaviest(
    stage: str,
    config: Any,
    tried: Sequence[tuple[TrainingConfig, Point]],
    logits: LogitsConfig | None,
    room: Room,
    beside: int,
) -> Requirement:
    """The requirement of the training that takes most."""
    from distill_dagster.training.memory.estimate import Shared, plan_of

    shared = Shared(room.ranks, room.has * GB, beside)
    plans = [(plan_of(config, training, logits, room.device, shared), point) for training, point in tried]
    plan, point = max(plans, key=lambda one: one[0].needed)
    available = room.has * GB
    said = f"{plan}; with the runtime {plan.needed / GB:.1f} of {room.has:.1f} GB {room.where}"
    said = f"the sweep at {in_words(point)}: {said}" if point else said
    if plan.needed <= available:
        return Requirement("memory", stage, "warning" if plan.needed > TIGHT * available else "ok", said)
    changes = "; ".join(f"{change.says} ({change.needed / GB:.1f} GB)" for change in plan.changes(available))
    way_out = f"these would fit: {changes}" if changes else "use a smaller model or a larger device"
    return Requirement("memory", stage, "error", f"{said}: {way_out}")


def _config_of(role: str, pending: Pending, models: Models) -> Any:
    """The transformers config of a role's model; None if it is on the hub and not fetched yet."""
    from distill_dagster.models.tokenizer import open_config
    from distill_dagster.training.cutting import cut_config

    asset, config = PUBLISHED[role], pending.config
    if asset not in pending.stages and models.look.find(asset):
        return open_config(Path(read_ref(models.look.get(asset).described).path))
    if role == "student" and config.student.init:
        teacher = _config_of("teacher", pending, models)
        return cut_config(config.student.init, teacher) if teacher else None
    model = config.teacher.model if role == "teacher" else config.student.model
    return _described(model, models) if model else None


def _described(model: ModelConfig, models: Models) -> Any:
    from distill_dagster.models.outline import config_of, local_source

    if model.name in models.fetched:
        model = ModelConfig(name=str(models.fetched[model.name]))
    if model.name and not local_source(model.name):
        return None
    return config_of(model, models.vocabulary(model))
