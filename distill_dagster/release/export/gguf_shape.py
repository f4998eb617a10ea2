"""Which models our GGUF converter can write: Llama and its like.

Their rotary positions may be scaled, but in the same way for every length of a text.
"""

from typing import Any

from distill_dagster.errors import ModelError
from distill_dagster.release.export.gguf_vocabulary import OTHER_WAYS

ARCHITECTURES = {"llama": "LLAMA", "qwen2": "QWEN2", "qwen3": "QWEN3"}  # model_type -> name in gguf.MODEL_ARCH
FIXED = ("default", "linear", "llama3")  # kinds of rotary scaling that are the same for every length
SCALED = ("llama",)  # architectures for which llama.cpp reads factors of the frequencies


def architecture_of(config: Any) -> Any:
    """The `gguf.MODEL_ARCH` of a transformers config.

    Raises:
        ModelError: our converter cannot write such a model.
    """
    import gguf

    if problem := shape_problem(config):
        raise ModelError(problem)
    return gguf.MODEL_ARCH[ARCHITECTURES[config.model_type]]


def shape_problem(config: Any) -> str | None:
    """Why our converter cannot write a model with this transformers config; None if it can."""
    kind, scaling = config.model_type, rope_type(config)
    if kind not in ARCHITECTURES:
        return f"GGUF is written for the model types {', '.join(ARCHITECTURES)}, and it is {kind}: {OTHER_WAYS}"
    if scaling not in (FIXED if kind in SCALED else FIXED[:1]):
        return f"its positions are scaled by {scaling}, which is not written into GGUF for {kind}: {OTHER_WAYS}"
    if getattr(config, "mlp_bias", False) or config.hidden_act != "silu":
        return f"its feed-forward layers have a bias or the activation {config.hidden_act}, not silu: {OTHER_WAYS}"
    windows = set(getattr(config, "layer_types", None) or ()) - {"full_attention"}
    return f"it has layers of kind {min(windows)}, not full attention alone: {OTHER_WAYS}" if windows else None


def rope_type(config: Any) -> str:
    """The kind of scaling of a config's rotary positions."""
    return (getattr(config, "rope_parameters", None) or {}).get("rope_type", "default")


def head_size(config: Any) -> int:
    """Values of one attention head; 0 if the config does not say."""
    named = getattr(config, "head_dim", None)
    heads, width = getattr(config, "num_attention_heads", None), getattr(config, "hidden_size", None)
    return named or (width // heads if heads and width else 0)


def frequency_factors(config: Any) -> Any:
    """By how much the scaling divides each rotary frequency: (D/2,) float32; None without a scaling."""
    if rope_type(config) == "default":
        return None
    import numpy as np
    from transformers.modeling_rope_utils import ROPE_INIT_FUNCTIONS

    scaled, attention = ROPE_INIT_FUNCTIONS[rope_type(config)](config, device="cpu")
    assert attention == 1.0, "only kinds that leave the attention as it is are fixed"
    size = head_size(config)
    plain = 1.0 / config.rope_parameters["rope_theta"] ** (np.arange(0, size, 2, dtype=np.float64) / size)
    return (plain / scaled.double().numpy()).astype(np.float32)
