"""Opens the tokenizer and the config of a model's folder, without its weights.

The tokenizer comes back ready to render and to pad: its chat template writes the project's date (`dates.py`) and the
token that begins a text (`first_token.py`), and its padding token has an embedding. Padding is masked or carries no
weight, so any token will do:

    pad_token "[PAD]" (50257) of a model with 50,257 embeddings      pads with eos_token
    no pad_token, no eos_token, generation_config.json names 2       pads with token 2
"""

from datetime import date
from pathlib import Path
from typing import Any

from distill_dagster.errors import ModelError
from distill_dagster.models.dates import pin_date
from distill_dagster.models.entries import entry
from distill_dagster.models.first_token import pin_first_token
from distill_dagster.models.own_code import unreadable
from distill_dagster.models.quiet import quietly


def open_tokenizer(folder: Path, prompt_date: date | None = None) -> Any:
    """The tokenizer of a model's folder, with a padding token and a chat template that writes `prompt_date`.

    Raises:
        ModelError: it cannot be read, needs its own code, or has no chat template.
    """
    from transformers import AutoTokenizer

    try:
        with quietly():
            tokenizer: Any = AutoTokenizer.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    except (OSError, ValueError, KeyError, TypeError, ImportError, AttributeError) as e:
        raise unreadable(folder, e, f"{folder}: its tokenizer cannot be read") from e
    config = open_config(folder) if (folder / "config.json").is_file() else None
    return prepare_tokenizer(tokenizer, config, folder, prompt_date)


def prepare_tokenizer(tokenizer: Any, config: Any, source: Path, prompt_date: date | None) -> Any:
    """The tokenizer that was read from `source`, ready to render and to pad; `config` is its model's, if there is one.

    Raises:
        ModelError: it has no chat template.
    """
    if not tokenizer.chat_template:
        raise ModelError(
            f"{source} has no chat template, so messages cannot become its text: use the instruct version of this "
            "model, or save a `chat_template.jinja` beside its tokenizer"
        )
    pin_date(tokenizer, prompt_date)
    pin_first_token(tokenizer)
    size = getattr(config.get_text_config(), "vocab_size", None) if config else None
    if tokenizer.pad_token_id is None or (size is not None and tokenizer.pad_token_id >= size):
        ends = [tokenizer.eos_token_id, *stated_ends(source, config, tokenizer)]
        named = [i for i in ends if i is not None and (size is None or i < size)]
        tokenizer.pad_token = tokenizer.convert_ids_to_tokens(named[0]) if named else None
    return tokenizer


def open_config(folder: Path) -> Any:
    """The transformers config of a model's folder; ModelError if it cannot be read or needs its own code."""
    from transformers import AutoConfig

    try:
        with quietly():
            return AutoConfig.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as e:
        raise unreadable(folder, e, f"{folder}: its config cannot be read") from e


def stated_ends(folder: Path, config: Any, tokenizer: Any) -> list[int]:
    """The tokens that a model's files state as ends, as `end_ids` finds them once the weights are loaded."""
    path = folder / "generation_config.json"
    of_config = getattr(config.get_text_config(), "eos_token_id", None) if config else None
    named = entry(path, "eos_token_id") if path.is_file() else of_config
    named = tokenizer.eos_token_id if named is None else named
    return list(named) if isinstance(named, list | tuple) else [named] if named is not None else []
