"""Refuses folders that hold something else than the plain weights of a model: an adapter, or quantized weights.

    adapter_config.json     {"base_model_name_or_path": "meta-llama/Llama-3.2-1B", …}       refused
    config.json             {"quantization_config": {"quant_method": "gptq", …}}            refused to train
    config.json             {"quantization_config": {"quant_method": "mxfp4", …}}           answers, if transformers can

Quantized weights cannot be trained. A quantized teacher answers where transformers can load it.
"""

from pathlib import Path
from typing import Any

from distill_dagster.models.entries import entry

ADAPTER = "adapter_config.json"


def stored_form_problem(folder: Path, *, trains: bool) -> str | None:
    """Why a folder's weights cannot be used, with the way out; None if they can. ModelError if a file is unreadable."""
    if (folder / ADAPTER).is_file():
        base = entry(folder / ADAPTER, "base_model_name_or_path") or "its base model"
        return (
            f"{folder} holds an adapter of {base} and not a model: merge it into its base with peft "
            "(`model.merge_and_unload().save_pretrained(...)`, and save the tokenizer there), and name that folder"
        )
    if not (folder / "config.json").is_file():
        return f"{folder} holds no config.json: name the folder that `save_pretrained` wrote"
    quantized = entry(folder / "config.json", "quantization_config")
    if not quantized:
        return None
    if not isinstance(quantized, dict):
        return f"{folder}/config.json: `quantization_config` is no mapping; fetch or save the model again"
    method = quantized.get("quant_method") or "bitsandbytes"  # whose old files do not name it
    if trains:
        return (
            f"{folder} is quantized ({method}), and quantized weights cannot be trained: name the model that it was "
            "made from, or dequantize it (`model.dequantize().save_pretrained(...)`)"
        )
    reason = _missing_library(quantized)
    return reason and (
        f"{folder} is quantized ({method}) and cannot be loaded here ({reason}): install what it needs, or name the "
        "model that it was made from"
    )


def _missing_library(quantized: dict[str, Any]) -> str | None:
    """What transformers lacks to load such weights. Whether the machine has a GPU shows only where the model runs."""
    from transformers.quantizers.auto import AutoHfQuantizer

    try:
        quantizer = AutoHfQuantizer.from_config(dict(quantized), pre_quantized=True, trust_remote_code=False)
        quantizer.validate_environment(device_map=None)
    except (ImportError, ValueError, TypeError, AttributeError, KeyError) as e:
        return next(iter(str(e).strip().splitlines()), type(e).__name__)
    except RuntimeError:  # no GPU in this process
        return None
    return None
