"""The estimated peak memory of a training step over the measured one, for five shapes: 1 is exact.

Each shape trains two steps in a process of its own, with the loop of the product, on rows of full length; from the
second step on the optimizer has its state. On a CPU the measure is the peak of resident memory above what the process
holds before the model is made; on a GPU `torch.cuda.max_memory_allocated`.

    memory_llama                all weights in float32
    memory_gpt2_checkpointed    gradient checkpointing
    memory_qwen3_lora           adapters on bfloat16 weights
    memory_llama_vocabulary     a vocabulary of 65,536 and Adafactor
    memory_llama_bfloat16       all weights in bfloat16

`compare("cuda:0")` gives the same for a GPU.
"""

import multiprocessing
import os
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch

from benchmarks._peak import forget_peak, peak_bytes
from distill_dagster.config import StudentTrainingConfig

STEPS = 2


@dataclass(frozen=True, slots=True)
class Shape:
    """A model and its training; `length` tokens in each of `rows` rows."""

    architecture: str
    settings: dict[str, Any]
    training: dict[str, Any]
    rows: int
    length: int


_LLAMA = {"hidden_size": 512, "intermediate_size": 1376, "num_hidden_layers": 6, "num_attention_heads": 8}
_QWEN = {**_LLAMA, "num_key_value_heads": 2, "head_dim": 64, "num_hidden_layers": 8}
SHAPES = {
    "llama": Shape("llama", {**_LLAMA, "vocab_size": 16_384}, {}, 8, 256),
    "gpt2_checkpointed": Shape(
        "gpt2", {"n_embd": 512, "n_layer": 6, "n_head": 8}, {"gradient_checkpointing": True}, 4, 256
    ),
    "qwen3_lora": Shape(
        "qwen3", {**_QWEN, "vocab_size": 32_768}, {"lora": {"rank": 16}, "weights": "bfloat16"}, 8, 256
    ),
    "llama_vocabulary": Shape("llama", {**_LLAMA, "vocab_size": 65_536}, {"optimizer": "adafactor"}, 4, 128),
    "llama_bfloat16": Shape("llama", {**_LLAMA, "vocab_size": 32_768}, {"weights": "bfloat16"}, 4, 256),
}


def measure() -> dict[str, float]:
    """The five ratios on the CPU."""
    return {name: figures["ratio"] for name, figures in compare("cpu").items()}


def compare(device: str) -> dict[str, dict[str, float]]:
    """For each shape the estimated and the measured bytes on a device, and their ratio."""
    os.environ.setdefault("MALLOC_MMAP_THRESHOLD_", str(2**20))
    with multiprocessing.get_context("spawn").Pool(1, maxtasksperchild=1) as pool:
        found = pool.starmap(figures_of, [(name, device) for name in SHAPES], chunksize=1)
    return {f"memory_{name}": figures for name, figures in zip(SHAPES, found, strict=True)}


def figures_of(name: str, device: str) -> dict[str, float]:
    """One shape's bytes, in this process."""
    from distill_dagster.training.memory.step import LargestBatch, step_memory

    shape = SHAPES[name]
    measured = trained_bytes(shape, device)
    batch = LargestBatch(shape.rows, shape.length)
    kind = torch.device(device).type
    estimated = step_memory(_config(shape), _training(shape), batch, kind).peak
    return {"estimated": estimated, "measured": measured, "ratio": estimated / measured}


def _config(shape: Shape) -> Any:
    from transformers import AutoConfig

    return AutoConfig.for_model(shape.architecture, **shape.settings)


def _training(shape: Shape) -> StudentTrainingConfig:
    own = {"batch_size": shape.rows, "max_length": shape.length, "epochs": 1, "evaluations": 1}
    return StudentTrainingConfig(**{**own, **shape.training})


def trained_bytes(shape: Shape, device: str) -> int:
    """The measured peak of two training steps above what an empty runtime holds: that of a tiny training before it."""
    torch.set_num_threads(1)
    _train(_tiny(shape), device)
    floor = forget_peak()
    if torch.device(device).type != "cuda":
        _train(shape, device)
        return peak_bytes() - floor
    torch.cuda.reset_peak_memory_stats(device)
    _train(shape, device)
    return torch.cuda.max_memory_allocated(device)


def _tiny(shape: Shape) -> Shape:
    """The same with a model of next to no size."""
    small = {"hidden_size": 32, "n_embd": 32, "intermediate_size": 32, "num_hidden_layers": 1, "n_layer": 1}
    settings = {name: small.get(name, value) for name, value in shape.settings.items()} | {"vocab_size": 64}
    return replace(shape, settings=settings, rows=1, length=32)


def _train(shape: Shape, device: str) -> None:
    from datasets import Dataset
    from transformers import AutoModelForCausalLM

    from distill_dagster.training.adapter import prepare_weights
    from distill_dagster.training.examples import TrainingSet
    from distill_dagster.training.loop import train
    from distill_dagster.training.signals.text import TextSignal

    row = {"row_id": "", "sample": 0, "turn": 0, "input_ids": [3] * shape.length, "answer_start": 1}
    rows = Dataset.from_list([{**row, "length": shape.length}] * (shape.rows * STEPS))
    data, training = TrainingSet(rows, rows.select([]), {}), _training(shape)
    model = AutoModelForCausalLM.from_config(_config(shape), dtype=getattr(torch, training.weights))
    tokenizer = SimpleNamespace(pad_token_id=0)
    with tempfile.TemporaryDirectory() as work:
        how: dict[str, Any] = {"device": device, "work": Path(work), "start_revision": "0", "label": "memory"}
        train(prepare_weights(model, training), tokenizer, data, training, TextSignal.of(training, 0), **how)
