"""Devices and memory: whether each step gets what it leases, and whether the model fits there.

The memory of a training is planned (memory.py). Where its model's config is not at hand, and of other work, memory is
counted by parameter, without activations, caches and the libraries themselves:

    training    16 bytes    float32 weights and gradients, AdamW's two moments; other settings take less
    answering    4 bytes    float32, or 2 in bfloat16

So too little for these bytes is too little for certain. Several devices that share a training each hold all of it, or a
part where it can be sharded; a model that answers is spread over them.
"""

from collections.abc import Iterator, Mapping

from distill_dagster.config import ComputeConfig, ModelConfig, Need, StudentTrainingConfig
from distill_dagster.errors import ComputeError
from distill_dagster.lineage.stages import STAGES
from distill_dagster.models.engines.vllm_offline import missing_vllm
from distill_dagster.models.loading import dtype_name
from distill_dagster.preflight.hardware import Hardware, Leasable
from distill_dagster.preflight.memory import Room, training_memory, training_of
from distill_dagster.preflight.models import Models
from distill_dagster.preflight.pending import Pending
from distill_dagster.preflight.requirement import Requirement, State
from distill_dagster.process import GB, main_memory_gb
from distill_dagster.resources.gpu import GpuPool, machine_devices
from distill_dagster.training.memory.state import WEIGHT_BYTES, bytes_per_parameter, can_shard

TIGHT = 0.8  # share of the memory above which activations may no longer fit


class Here:
    """The devices of this machine."""

    def __init__(self, compute: ComputeConfig) -> None:
        self._pool = GpuPool(devices=None if compute.devices == "auto" else compute.devices)

    def found_for(self, need: Need, kind: str = "", spreads: bool = False) -> Leasable:
        """The devices from which a need is leased."""
        devices = self._pool.usable_for(need)
        listed = machine_devices() if devices else {}
        known = sorted(listed[device] for device in devices if device in listed)
        return Leasable(devices, known, main_memory_gb())

    def device(self, stage: str, found: Leasable, load_torch: bool) -> Requirement:
        """Whether nvidia-smi lists the devices, and torch finds them."""
        if not found.devices:
            return Requirement("device", stage, "ok", "the CPU")
        listed = machine_devices()
        if unknown := [device for device in found.devices if device not in listed]:
            said = f"compute.devices names GPU {unknown[0]}; nvidia-smi lists {', '.join(listed) or 'none'}"
            return Requirement("device", stage, "warning", said)
        if load_torch and not _torch_finds_cuda():
            said = "this torch finds no CUDA: install a CUDA build of torch, or set compute.devices: []"
            return Requirement("device", stage, "error", said)
        return Requirement("device", stage, "ok", f"GPU {', '.join(found.devices)}")

    def vllm(self) -> tuple[State, str]:
        """Whether vLLM is installed."""
        return ("error", missing) if (missing := missing_vllm()) else ("ok", "vLLM is installed")


def device_requirements(
    pending: Pending, models: Models, hardware: Hardware, load_torch: bool, plans_memory: bool
) -> Iterator[Requirement]:
    """A device for each step that leases one, and memory for the models whose size is known (`teacher`, `student`)."""
    for name in pending.on_devices:
        need, kind = need_of(name, pending.config.compute), STAGES[name].compute or ""
        try:
            spreads = name != "student_sweep" and training_of(name, pending) is not None
            found = hardware.found_for(need, kind, spreads)
        except ComputeError as e:
            yield Requirement("device", name, "error", str(e))
            continue
        yield hardware.device(name, found, load_torch)
        if name == "teacher_outputs" and pending.config.teacher.generation.engine == "vllm":
            yield _engine(name, found, *hardware.vllm())
        room = _room(found, _shared_by(name, need), trains=training_of(name, pending) is not None)
        planned = training_memory(name, pending, models, room) if plans_memory and room else None
        if planned or models.parameters.get(_who(name)):
            yield planned or _memory(name, pending, models.parameters, room, found.devices)


def need_of(stage: str, compute: ComputeConfig) -> Need:
    """What the config declares for a stage's kind of compute."""
    kind = STAGES[stage].compute
    assert kind is not None, f"{stage} runs on no device"
    return getattr(compute, kind)


def _engine(stage: str, found: Leasable, state: State, said: str) -> Requirement:
    """Whether vLLM can answer there."""
    if state != "error" and not found.devices:
        said = "vLLM needs a GPU, and the step would run on the CPU: name one in compute.devices, or use `engine: auto`"
        return Requirement("engine", stage, "error", said)
    return Requirement("engine", stage, state, said)


def _torch_finds_cuda() -> bool:
    import torch

    return torch.cuda.is_available()


def _shared_by(stage: str, need: Need) -> Need:
    """The need of a process group: a trial of a sweep trains in one process, on the first device that it leases."""
    return need.model_copy(update={"gpus": 1, "processes": 1}) if stage == "student_sweep" else need


def _room(found: Leasable, need: Need, trains: bool) -> Room | None:
    """The memory of each process of a training, or of all the devices over which a model is spread.

    None: that of the GPUs is not known.
    """
    if not found.devices:
        shares = need.processes // found.nodes if trains else 1
        where = "of main memory" if shares == 1 else f"of main memory for each of {shares} processes"
        return Room(found.main_gb / shares, where, "cpu", shares * found.nodes)
    known = found.gpu_gb[: need.gpus]
    if not known:
        return None
    if trains:
        return Room(known[0], "of the GPU" if need.gpus == 1 else "of each GPU", "cuda", need.gpus)
    return Room(sum(known), "of the GPU" if len(known) == 1 else f"of {len(known)} GPUs", "cuda")


def _memory(
    stage: str, pending: Pending, parameters: Mapping[str, int], room: Room | None, devices: list[str]
) -> Requirement:
    ranks = room.ranks if room else 1
    needed = _bytes_needed(stage, pending, parameters, "cuda" if devices else "cpu", ranks) / GB
    if room is None:
        return Requirement("memory", stage, "not checked", f"about {needed:.1f} GB; that of the GPU is not known")
    said = f"about {needed:.1f} GB before activations, of {room.has:.1f} GB {room.where}"
    if needed > room.has:
        return Requirement("memory", stage, "error", f"{said}: use a smaller model or a larger machine")
    return Requirement("memory", stage, "warning" if needed > TIGHT * room.has else "ok", said)


def _bytes_needed(stage: str, pending: Pending, parameters: Mapping[str, int], device: str, ranks: int) -> int:
    """The stage's own model, or a rank's part of it, and the teacher where it runs beside the student."""
    training = training_of(stage, pending)
    parts = ranks if training and can_shard(training) else 1
    own = parameters[_who(stage)] * _bytes_of(stage, pending, device) // parts
    if stage == "speed_benchmark":  # the teacher, the student and the baseline are in memory at one time
        exports = 0 if device == "cuda" else len(pending.config.export.formats)  # each is as large at most
        return (2 + exports) * own + parameters.get("teacher", 0) * _bytes_of("teacher_benchmark", pending, device)
    if not isinstance(training, StudentTrainingConfig) or not training.reads_teacher:
        return own
    return own + parameters.get("teacher", 0) * _bytes_of("teacher_outputs", pending, device)


def _bytes_of(stage: str, pending: Pending, device: str) -> int:
    if training := training_of(stage, pending):
        return bytes_per_parameter(training)
    return WEIGHT_BYTES[dtype_name(_model(stage, pending).dtype, device)]


def _model(stage: str, pending: Pending) -> ModelConfig:
    """The model of a stage's role; a student that is cut out of the teacher has its precision."""
    teacher, student = pending.config.teacher.model, pending.config.student.model
    model = teacher if _who(stage) == "teacher" and teacher else student or teacher
    assert model is not None, "the config gives `student.model`, or `student.init` with `teacher.model`"
    return model


def _who(stage: str) -> str:
    return "teacher" if stage.startswith(("teacher_", "rollout_logits_")) else "student"
