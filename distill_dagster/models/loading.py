"""Loads a pinned model, ready to answer, and keeps the last two in memory.

Every shard needs the teacher, and loading a model of 8 billion parameters takes a minute, so a process keeps the
models that it used last. It keeps two, because a benchmark goes back and forth between teacher and student.
"""

import contextlib
import gc
import json
import threading
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from distill_dagster.errors import ModelError
from distill_dagster.models.own_code import unreadable
from distill_dagster.models.pinning import count_parameters
from distill_dagster.models.quiet import quietly
from distill_dagster.models.ref import ModelRef
from distill_dagster.models.spreading import place
from distill_dagster.models.tokenizer import open_config, open_tokenizer

KEPT = 2


@dataclass(frozen=True, slots=True)
class LoadedModel:
    """A model in evaluation mode on a device, and its tokenizer, which pads on the left."""

    model: Any  # transformers.PreTrainedModel
    tokenizer: Any  # transformers.PreTrainedTokenizerBase
    device: str  # of inputs and outputs; the layers may be spread over more
    dtype: str  # float32 | bfloat16
    ref: ModelRef


_kept: "OrderedDict[tuple[str, ...], LoadedModel]" = OrderedDict()
_lock = threading.Lock()
_leased: dict[str, tuple[str, ...]] = {}  # the first of several devices -> all of them


@contextlib.contextmanager
def spread_over(devices: Sequence[str]) -> Iterator[None]:
    """Inside the block, a model that is loaded onto the first of several devices may be spread over all of them.

    It holds for every thread, since a device belongs to one worker at a time.
    """
    _leased[devices[0]] = tuple(devices)
    try:
        yield
    finally:
        del _leased[devices[0]]


def devices_with(device: str) -> tuple[str, ...]:
    """The devices over which a model that is loaded onto `device` may be spread, itself first."""
    return _leased.get(device, (device,))


def load(ref: ModelRef, device: str) -> LoadedModel:
    """The model on `device`, from memory if it is one of the last two that were used.

    Raises:
        ModelError: it does not exist, is not a causal language model, or has no chat template.
    """
    dtype = dtype_name(ref.dtype, device)
    devices = devices_with(device)
    key = (ref.path, ref.version, dtype, *devices)
    with _lock:
        if key not in _kept:
            while len(_kept) >= KEPT:
                _kept.popitem(last=False)
            _kept[key] = _open(ref, devices, dtype)
        _kept.move_to_end(key)
        return _kept[key]


def forget() -> None:
    """Drop every model that is kept in memory, such as before training on the same device.

    That includes one that was trained: Accelerate's wrapper around its `forward` refers back to it, so that only the
    cycle collector frees it.
    """
    import torch

    with _lock:
        _kept.clear()
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def dtype_name(dtype: str, device: str) -> str:
    """What `auto` means: bfloat16 on a GPU, float32 on a CPU, where bfloat16 is slower and less precise."""
    return dtype if dtype != "auto" else "bfloat16" if device.startswith("cuda") else "float32"


def _open(ref: ModelRef, devices: tuple[str, ...], dtype: str) -> LoadedModel:
    tokenizer = open_tokenizer(Path(ref.path), ref.prompt_date)
    model = open_model(Path(ref.path), dtype)
    tokenizer.padding_side = "left"
    return LoadedModel(place(model, devices).eval(), tokenizer, devices[0], dtype, ref)


def open_model(folder: Path, dtype: str) -> Any:
    """The weights of a model's folder, on the CPU, with a generation config that names end and padding tokens alone.

    Otherwise a checkpoint's own sampling defaults, such as a repetition penalty, would silently change every answer.

    Raises:
        ModelError: the folder is gone, does not hold a causal language model, needs its own code, or its weights do
            not fit its config.
    """
    import torch
    from transformers import AutoModelForCausalLM, GenerationConfig

    if not folder.is_dir():
        raise ModelError(f"model folder {folder} is gone; materialize the asset that made it again")
    count_parameters(folder)  # refuses pickled and torn weights
    try:
        with quietly():
            model = AutoModelForCausalLM.from_pretrained(
                folder,
                dtype=getattr(torch, dtype),
                local_files_only=True,
                use_safetensors=True,
                trust_remote_code=False,
            )
    except (OSError, ValueError, RuntimeError, KeyError, TypeError, IndexError, AttributeError, ImportError) as e:
        raise unreadable(folder, e, f"{folder} cannot be loaded as a causal language model") from e
    ends, pad = model.generation_config.eos_token_id, model.generation_config.pad_token_id
    model.generation_config = GenerationConfig(eos_token_id=ends, pad_token_id=pad)
    return model


def stored_dtype(folder: Path) -> Any:
    """The dtype of a model's stored weights. A trained model is saved in it, so that it does not double its size.

    Raises:
        ModelError: the folder's config cannot be read.
    """
    import torch

    dtype: Any = open_config(folder).dtype
    return dtype if dtype is not None else torch.float32


def stored_dtype_name(folder: Path) -> str:
    """The name of the stored dtype, without importing torch; float32, as in transformers, if the config names none."""
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    return str(config.get("dtype") or config.get("torch_dtype") or "float32")
