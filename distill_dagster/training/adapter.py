"""LoRA adapters by `peft`: put into a model before its training, written and merged into its weights afterwards.

    attach   q_proj                ->  q_proj + alpha / rank * lora_B lora_A       only lora_A and lora_B train
    finish   q_proj, lora_A, _B    ->  q_proj with the product added               the plain architecture again

Everything outside the adapters is frozen, the output head too, so the kernel computes no gradient for it. What a signal
trains beside the student, such as projections, has a file of its own in a checkpoint, since peft saves adapters alone.
"""

import warnings
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig as PeftLora
from peft import PeftModel, TaskType, get_peft_model
from peft.tuners.lora import LoraLayer
from safetensors.torch import load_file, save_file
from transformers import PreTrainedModel

from distill_dagster.config import LoraConfig, TrainingConfig
from distill_dagster.errors import TrainingError
from distill_dagster.models.quiet import quietly
from distill_dagster.models.ref import ModelRef
from distill_dagster.store import files

LORA = "lora_"  # in the name of every weight of an adapter


def prepare_weights(model: PreTrainedModel, config: TrainingConfig) -> Any:
    """The model as `train` takes it: in the config's precision, and with adapters if it asks for them."""
    dtype = getattr(torch, config.weights)
    model = model if model.dtype == dtype else model.to(dtype)
    return model if config.lora is None else attach(model, config.lora, config.seed)


def finish_weights(trained: Any, dtype: torch.dtype, out: Path, base: ModelRef) -> PreTrainedModel:
    """The plain model in `dtype` after a training that started from `base`; adapters are written into `out` first."""
    if not isinstance(trained, PeftModel):
        return trained.to(dtype)
    write_adapter(trained, out / files.ADAPTER_FOLDER, base)
    return merge(trained, dtype)


def attach(model: PreTrainedModel, lora: LoraConfig, seed: int) -> PeftModel:
    """The model with new adapters, in float32 in any model; `model` itself is changed, and its own weights are frozen.

    Without a task type, peft's wrapper hands every argument on to the model's `forward`.

    Raises:
        TrainingError: the targets name no layer, or one that cannot have an adapter.
    """
    wanted = PeftLora(
        r=lora.rank,
        lora_alpha=lora.alpha,  # pyright: ignore[reportArgumentType]
        lora_dropout=lora.dropout,
        target_modules=lora.targets,
    )
    state = torch.random.get_rng_state()
    torch.manual_seed(seed)
    try:
        with quietly(), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that peft sets `fan_in_fan_out` itself, and what others call deprecated
            adapted = get_peft_model(model, wanted)
    except (ValueError, NotImplementedError) as e:
        raise TrainingError(f"`lora.targets: {lora.targets}` does not fit this model: {e}; {_ways(model)}") from e
    finally:
        torch.random.set_rng_state(state)
    if _is_adapted(model.get_output_embeddings()) or _is_adapted(model.get_input_embeddings()):
        raise TrainingError(
            f"`lora.targets: {lora.targets}` names the embeddings or the output head, which get no adapter: "
            f"{_ways(model)}"
        )
    assert isinstance(adapted, PeftModel)
    return adapted


def plain(model: Any) -> PreTrainedModel:
    """The transformers model, whether or not it has adapters."""
    return model.get_base_model() if isinstance(model, PeftModel) else model  # pyright: ignore[reportReturnType]


def trainable_count(model: Any) -> int:
    """Number of weights that train; tied weights count once."""
    return sum(p.numel() for p in model.parameters() if p.requires_grad)


def write_adapter(adapted: PeftModel, folder: Path, base: ModelRef) -> None:
    """Write the adapters as `AutoPeftModelForCausalLM` reads them, with the model that they belong to.

    A model of the hub is named with its commit, any other one by the folder of its weights.
    """
    config = adapted.peft_config[adapted.active_adapter]  # pyright: ignore[reportArgumentType]
    is_of_hub = "/" in base.name
    config.base_model_name_or_path = base.name if is_of_hub else base.path or base.name
    config.revision = base.revision if is_of_hub else None
    config.task_type = TaskType.CAUSAL_LM
    config.inference_mode = True
    with quietly():
        adapted.save_pretrained(str(folder), save_embedding_layers=False)
    (folder / "README.md").unlink(missing_ok=True)  # peft's own card, all of whose facts are left to fill in


def save_beside(adapted: Any, checkpoint: Path) -> None:
    """Write into a checkpoint what trains in a model with adapters and is none of them, if there is any."""
    if beside := _beside(adapted):
        save_file({name: weight.detach().cpu() for name, weight in beside.items()}, checkpoint / files.BESIDE_FILE)


def load_beside(adapted: Any, checkpoint: Path) -> None:
    """Put back what `save_beside` has written."""
    if beside := _beside(adapted):
        saved = load_file(checkpoint / files.BESIDE_FILE)
        with torch.no_grad():
            for name, weight in beside.items():
                weight.copy_(saved[name])


def merge(adapted: PeftModel, dtype: torch.dtype) -> PreTrainedModel:
    """The model with its adapters merged into its weights, all in `dtype`. Sums are rounded once, from float32."""
    for layer in adapted.modules():
        if isinstance(layer, LoraLayer):
            layer.get_base_layer().float()
            layer.merge()  # pyright: ignore[reportCallIssue]
            layer.get_base_layer().to(dtype)
    return adapted.unload().to(dtype)  # pyright: ignore[reportCallIssue]


def _beside(model: Any) -> dict[str, torch.Tensor]:
    if not isinstance(model, PeftModel):
        return {}
    return {name: p for name, p in model.named_parameters() if p.requires_grad and LORA not in name}


def _is_adapted(layer: Any) -> bool:
    return isinstance(layer, LoraLayer)


def _ways(model: PreTrainedModel) -> str:
    """What targets there are."""
    head = model.get_output_embeddings()
    linear = [
        name.rpartition(".")[2]
        for name, module in model.named_modules()
        if module is not head and type(module).__name__ in ("Linear", "Conv1D") and "lora" not in name
    ]
    return f"use `all-linear`, or some of {', '.join(dict.fromkeys(linear))}"
