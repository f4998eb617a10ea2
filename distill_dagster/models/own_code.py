"""Refuses a model's folder that needs its own Python code: such code is never run, and nobody is asked.

Without `trust_remote_code=False`, transformers asks on the terminal whether to run it. A folder that names code but
can do without it, because transformers ships the same architecture, is used with what transformers ships:

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
MODEL_CLASSES = {"AutoConfig", "AutoModelForCausalLM"}  # what is loaded here; other classes of an auto_map are not


def refuse_own_code(folder: Path) -> None:
    """Find out from the JSON files of a model's folder, without loading it, whether it needs its own code.

    Raises:
        ModelError: it does, or one of the files cannot be read.
    """
    model_type = entry(folder / CONFIG, "model_type")
    model, tokenizer = (entry(folder / name, "auto_map") for name in (CONFIG, TOKENIZER))
    if isinstance(model, dict) and MODEL_CLASSES & set(model) and not _ships_model(model_type):
        raise own_code_error(folder, CONFIG)
    names_code = isinstance(tokenizer, list) or (isinstance(tokenizer, dict) and tokenizer.get("AutoTokenizer"))
    if names_code and not _ships_tokenizer(model_type, entry(folder / TOKENIZER, "tokenizer_class")):
        raise own_code_error(folder, TOKENIZER)


def is_own_code(error: BaseException) -> bool:
    """Whether transformers refused to load because of a folder's own code; its error then names the argument."""
    return "trust_remote_code" in str(error)


def own_code_error(folder: Path, file: str | None = None) -> ModelError:
    """What a user is told, with the file that names the code where it is known."""
    where = f" (`auto_map` in {file})" if file else ""
    return ModelError(
        f"{folder} wants to run its own code{where}, and distill-dagster never runs a model's code: convert the model "
        "to an architecture that transformers ships, or use another model"
    )


def _ships_model(model_type: Any) -> bool:
    from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES

    return isinstance(model_type, str) and model_type in MODEL_FOR_CAUSAL_LM_MAPPING_NAMES


def _ships_tokenizer(model_type: Any, name: Any) -> bool:
    """Whether transformers has a tokenizer for this type of model, or one of this name."""
    from transformers.models.auto.tokenization_auto import TOKENIZER_MAPPING_NAMES, tokenizer_class_from_name

    if isinstance(model_type, str) and model_type in TOKENIZER_MAPPING_NAMES:
        return True
    names = (name.removesuffix("Fast"), name.removesuffix("Fast") + "Fast") if isinstance(name, str) else ()
    return any(tokenizer_class_from_name(known) is not None for known in names)
