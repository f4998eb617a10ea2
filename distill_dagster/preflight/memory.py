"""Whether a training fits its device: the memory plan of the step, from the model's config and the settings.

Requirement("memory", "student_checkpoint", "error", "peak 143.9 GB … of 79.6 GB of the GPU: …; these would fit: …")

The model's config is read, and no weight. A model that cannot be followed, such as one that routes tokens to experts,
is left to the count by parameter in devices.py.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from distill_dagster.config import LogitsConfig, ModelConfig, StudentTrainingConfig, TrainingConfig
from distill_dagster.errors import ModelError, TrainingError
from distill_dagster.lineage.rounds import student_of
from distill_dagster.models.gguf_file import gguf_of, read_gguf_config
from distill_dagster.models.ref import read_ref
from distill_dagster.preflight.models import PUBLISHED, Models
from distill_dagster.preflight.pending import Pending, trained_by
from distill_dagster.preflight.requirement import Requirement

TIGHT = 0.9  # share of the memory above which a training gets a warning
GB = 1024**3


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
    return config.student.training.start if stage == student_of(0) else config.student.training


def _runs_teacher(training: TrainingConfig) -> bool:
    """Whether the teacher runs beside the student, which the plan does not know."""
    return isinstance(training, StudentTrainingConfig) and training.reads_teacher


def training_memory(stage: str, pending: Pending, models: Models, room: Room) -> Requirement | None:
    """The requirement of a training; None where its model's config is not at hand, or cannot be followed."""
    training, logits = training_of(stage, pending), pending.config.teacher.logits
    try:
        config = _config_of(stage, pending, models)
        if training is None or config is None or _runs_teacher(training):
            return None
        return _plan(stage, config, training, logits, room)
    except TrainingError as e:
        return Requirement("memory", stage, "error", str(e))
    except ModelError:
        return None  # the model's own requirement says it
    except RuntimeError:
        return None


def _plan(stage: str, config: Any, training: TrainingConfig, logits: LogitsConfig | None, room: Room) -> Requirement:
    from distill_dagster.training.memory.estimate import plan_of

    available = room.has * GB
    plan = plan_of(config, training, logits, room.device, room.ranks, available)
    said = f"{plan}; with the runtime {plan.needed / GB:.1f} of {room.has:.1f} GB {room.where}"
    if plan.needed <= available:
        return Requirement("memory", stage, "warning" if plan.needed > TIGHT * available else "ok", said)
    changes = "; ".join(f"{change.says} ({change.needed / GB:.1f} GB)" for change in plan.changes(available))
    way_out = f"these would fit: {changes}" if changes else "use a smaller model or a larger device"
    return Requirement("memory", stage, "error", f"{said}: {way_out}")


def _config_of(stage: str, pending: Pending, models: Models) -> Any:
    """The transformers config of the model that the stage trains; None if it is on the hub and not fetched yet."""
    from distill_dagster.models.tokenizer import open_config

    role = "teacher" if stage == "teacher_model" else "student"
    asset = PUBLISHED[role]
    if asset not in pending.stages and models.look.find(asset):
        return open_config(Path(read_ref(models.look.get(asset).folder).path))
    model = pending.config.teacher.model if role == "teacher" else pending.config.student.model
    return _described(model, models) if model else None


def _described(model: ModelConfig, models: Models) -> Any:
    from distill_dagster.models.building import configure
    from distill_dagster.models.tokenizer import open_config

    if model.architecture:
        return configure(model, models.vocabulary(model), pad=0, end=1)
    name = str(model.name)
    if file := gguf_of(name):
        return read_gguf_config(file)
    folder = Path(name).expanduser()
    if folder.is_dir():
        return open_config(folder)
    return open_config(models.fetched[name]) if name in models.fetched else None
