"""What a model that a config names is made of, before its weights are fetched or built.

outline = config_of(ModelConfig(name="Qwen/Qwen3-8B"))      its transformers config, from the hub's small files
without_weights(outline)                                    the model on torch's meta device: shapes and no memory
"""

from pathlib import Path
from typing import Any

from distill_dagster.config import ModelConfig
from distill_dagster.errors import ModelError
from distill_dagster.models.building import configure
from distill_dagster.models.gguf_file import gguf_of, read_gguf_config
from distill_dagster.models.pinning import fetch_small
from distill_dagster.models.tokenizer import open_config


def source_of(model: ModelConfig) -> tuple[Path, bool]:
    """The GGUF file of an existing model, or the folder of its small files, and whether its weights are here.

    The small files of a hub model are fetched.
    """
    name = str(model.name)
    if source := local_source(name):
        return source, True
    return fetch_small(name, model.revision), False


def local_source(name: str) -> Path | None:
    """The GGUF file or the folder that a model is named by, whether or not it exists; None for a name on the hub."""
    if file := gguf_of(name):
        return file
    folder = Path(name).expanduser()
    return folder if folder.is_dir() or folder.is_absolute() or name.startswith(".") else None


def config_of(model: ModelConfig, vocabulary: int | None = None) -> Any:
    """The transformers config of an existing model, or of a new one with so many tokens.

    Raises:
        ModelError: it cannot be read, or the architecture refuses its settings.
    """
    if model.name is None:
        return configure(model, vocabulary or model.vocab_size, pad=0, end=1)
    source, _ = source_of(model)
    return read_gguf_config(source) if source.is_file() else open_config(source)


def without_weights(config: Any) -> Any:
    """The model of a transformers config on torch's meta device.

    Raises:
        ModelError: transformers cannot build it.
    """
    import torch
    from transformers import AutoModelForCausalLM

    try:
        with torch.device("meta"):
            return AutoModelForCausalLM.from_config(config, trust_remote_code=False)
    except (ValueError, TypeError, KeyError, RuntimeError, AttributeError, ImportError) as e:
        raise ModelError(f"a model of type {config.model_type!r} cannot be built: {' '.join(str(e).split())}") from e
