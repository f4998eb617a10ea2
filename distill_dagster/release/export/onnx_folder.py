"""Builds a student for onnxruntime-genai with its own model builder, in a child process without a network.

The builder ends well for some models that fail later, at the first answer. What it cannot build is refused before
(`onnx_problem`); what it built is asked every held-out row by the worker.
"""

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from distill_dagster.errors import ModelError
from distill_dagster.release.export.children import run_module
from distill_dagster.release.export.gguf_shape import head_size

BUILDER, SETTINGS = "onnxruntime_genai.models.builder", "genai_config.json"
HEAD_STEP = 16  # onnxruntime's GroupQueryAttention rotates heads in steps of 16 values
BLOCK = 32  # values that share a scale in int4 and int8
PER_BYTE = 2  # int4 packs the zero points of two blocks into a byte
ALGORITHM = {"int4": ["--extra_options", "algo_config=k_quant_mixed"]}  # more layers in int8 than by default
TYPES = ("llama", "qwen2", "qwen3", "mistral", "phi3", "gemma", "gemma2", "smollm3", "granite", "olmo")


def onnx_problem(config: Any, precision: str) -> str | None:
    """Why a model with this transformers config cannot be exported; None if it can."""
    size = head_size(config)
    if config.model_type not in TYPES:
        return (
            f"onnxruntime-genai builds the model types {', '.join(TYPES)}, and it is {config.model_type}: export to "
            "`gguf_…`, or take another student"
        )
    if size % HEAD_STEP:
        return (
            f"its attention heads have {size} values, and onnxruntime-genai needs a multiple of {HEAD_STEP}: change "
            "`hidden_size` or `num_attention_heads`, or export to `gguf_…`"
        )
    widths = {"hidden_size": config.hidden_size, "intermediate_size": config.intermediate_size}
    widths["num_attention_heads × head size"] = config.num_attention_heads * size
    odd = [name for name, width in widths.items() if -(-width // BLOCK) % PER_BYTE]
    if precision == "int4" and odd:
        return (
            f"its {odd[0]} is {widths[odd[0]]}, and int4 needs an even number of blocks of {BLOCK} values: take a "
            f"multiple of {BLOCK * PER_BYTE}, or export to `onnx_int8`"
        )
    return None


def build_onnx(
    model: Path, template: str, ends: Sequence[int], out: Path, *, precision: str, max_length: int, work: Path
) -> None:
    """Write the model's folder as onnxruntime-genai reads it, with our chat template, the tokens that end an answer,
    and room for `max_length` tokens.

    Raises:
        ComputeError: the builder failed.
    """
    asked = ["-i", str(model), "-o", str(out), "-p", precision, "-e", "cpu", "-c", str(work / "cache")]
    run_module(BUILDER, [*asked, *ALGORITHM.get(precision, [])], f"building {precision} for onnxruntime-genai")
    if not (out / SETTINGS).is_file():
        raise ModelError(f"the builder of onnxruntime-genai wrote no {SETTINGS} into {out}: run again")
    settings = json.loads((out / SETTINGS).read_text(encoding="utf-8"))
    settings["model"]["eos_token_id"] = list(ends) if len(ends) > 1 else ends[0]
    settings["search"] |= {"max_length": max_length, "do_sample": False}
    (out / SETTINGS).write_text(json.dumps(settings, indent=1, allow_nan=False) + "\n", encoding="utf-8")
    (out / "chat_template.jinja").write_text(template, encoding="utf-8")
    for path in out.iterdir():  # some come from a cache with other rights
        os.chmod(path, 0o644)
