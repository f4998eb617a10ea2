"""Refuses a model's folder that needs its own Python code, which this package never runs.

Without `trust_remote_code=False`, transformers asks on the terminal whether to run such code. If transformers ships the
same architecture, the folder's code is ignored and the model is used:

    config.json            {"model_type": "mine", "auto_map": {"AutoModelForCausalLM": "modeling.Mine"}}     refused
    config.json            {"model_type": "phi3", "auto_map": {"AutoModelForCausalLM": "modeling.Phi3"}}     used
    tokenizer_config.json  {"tokenizer_class": "Mine", "auto_map": {"AutoTokenizer": ["mine.Mine", null]}}   refused

The rules are those of `transformers.dynamic_module_utils.resolve_trust_remote_code` and its callers.
"""

from pathlib import Path
from typing import Any

from distill_dagster.errors import ModelError
from distill_dagster.models.entries import entry

CONFIG, TOKENIZER = "config.json", "tokenizer_config.json"
MODEL_CLASSES = {"AutoConfig", "AutoModelForCausalLM"}  # the classes of an auto_map that this package loads


def refuse_own_code(folder: Path) -> None:
    """Check the JSON files of a model's folder, without loading the model.

    Raises:
        ModelError: the model needs its own code, or one of the files cannot be read.
    """
    model_type = entry(folder / CONFIG, "model_type")
    model, tokenizer = (entry(folder / name, "auto_map") for name in (CONFIG, TOKENIZER))
    if isinstance(model, dict) and MODEL_CLASSES & set(model) and not _ships_model(model_type):
        raise own_code_error(folder, CONFIG)
    names_code = isinstance(tokenizer, list) or (isinstance(tokenizer, dict) and tokenizer.get("AutoTokenizer"))
    if names_code and not _ships_tokenizer(model_type, entry(folder / TOKENIZER, "tokenizer_class")):
        raise own_code_error(folder, TOKENIZER)


def is_own_code(error: BaseException) -> bool:
    """Whether transformers refused to load a folder because of its code. Its error then names `trust_remote_code`."""
    return "trust_remote_code" in str(error)


def own_code_error(folder: Path, file: str | None = None) -> ModelError:
    """The error that a user sees; `file` names the code, if it is known."""
    where = f" (`auto_map` in {file})" if file else ""
    return ModelError(
        f"{folder} wants to run its own code{where}, and distill-dagster never runs a model's code: convert the model "
        "to an architecture that transformers ships, or use another model"
    )


def unreadable(folder: Path, error: BaseException, said: str) -> ModelError:
    """Our error for what transformers could not load: `said`, and the first line of its own error."""
    if is_own_code(error):
        return own_code_error(folder)
    return ModelError(f"{said}: {next(iter(str(error).strip().splitlines()), type(error).__name__)}")


def _ships_model(model_type: Any) -> bool:
    from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES

    return isinstance(model_type, str) and model_type in MODEL_FOR_CAUSAL_LM_MAPPING_NAMES


def _ships_tokenizer(model_type: Any, name: Any) -> bool:
    """Whether transformers has a tokenizer for this model type, or one of this name."""
    from transformers.models.auto.tokenization_auto import TOKENIZER_MAPPING_NAMES, tokenizer_class_from_name

    if isinstance(model_type, str) and model_type in TOKENIZER_MAPPING_NAMES:
        return True
    names = (name.removesuffix("Fast"), name.removesuffix("Fast") + "Fast") if isinstance(name, str) else ()
    return any(tokenizer_class_from_name(known) is not None for known in names)
