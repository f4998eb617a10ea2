"""What a model that a config names is made of, before its weights are fetched or built.

outline = config_of(ModelConfig(name="Qwen/Qwen3-8B"))      its transformers config, from the hub's small files
without_weights(outline)                                    the model on torch's meta device: shapes and no memory
"""

from datetime import date
from pathlib import Path
from typing import Any

from distill_dagster.config import ModelConfig
from distill_dagster.errors import ModelError
from distill_dagster.models.building import configure
from distill_dagster.models.gguf_file import gguf_of, read_gguf_config, read_gguf_tokenizer
from distill_dagster.models.pinning import fetch_small
from distill_dagster.models.tokenizer import open_config, open_tokenizer, prepare_tokenizer

NEW_VOCABULARY = 512  # tokens of a new model whose tokenizer is not made yet


def folder_of(model: ModelConfig) -> Path:
    """The folder with the small files of an existing model that is no GGUF file; those of a hub model are fetched."""
    name = str(model.name)
    folder = Path(name).expanduser()
    local = folder.is_dir() or folder.is_absolute() or name.startswith(".")
    return folder if local else fetch_small(name, model.revision)


def config_of(model: ModelConfig) -> Any:
    """The transformers config of an existing model, or of a new one.

    Raises:
        ModelError: it cannot be read, or the architecture refuses its settings.
    """
    if model.name is None:
        return configure(model, NEW_VOCABULARY, pad=0, end=1)
    file = gguf_of(model.name)
    return read_gguf_config(file) if file else open_config(folder_of(model))


def tokenizer_of(model: ModelConfig, prompt_date: date | None = None) -> Any:
    """The tokenizer of an existing model; ModelError if it cannot be read."""
    file = gguf_of(str(model.name))
    if file:
        return prepare_tokenizer(read_gguf_tokenizer(file), read_gguf_config(file), file, prompt_date)
    return open_tokenizer(folder_of(model), prompt_date)


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
