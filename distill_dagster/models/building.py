"""A new model from an architecture's name: tokenizer from the data, chat template, random weights.

Use it for a student that is made from scratch, or where no pretrained model is available:

    {architecture: llama, settings: {hidden_size: 128, num_hidden_layers: 4}, vocab_size: 2048}

The tokenizer is byte-level BPE, so it can encode any text; each role marker is one token. The same rows and the same
seed give the same files.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from distill_dagster.config import ModelConfig
from distill_dagster.errors import ModelError
from distill_dagster.models.pinning import pin_folder
from distill_dagster.models.quiet import quietly
from distill_dagster.models.ref import ModelRef, write_ref
from distill_dagster.store import files

PAD, END, SYSTEM, USER, ASSISTANT = "<|pad|>", "<|end|>", "<|system|>", "<|user|>", "<|assistant|>"
SPECIAL = [PAD, END, SYSTEM, USER, ASSISTANT]

# Role, text, end; then the marker after which the model answers. Content is a value here, never a template.
CHAT_TEMPLATE = (
    "{%- for message in messages -%}"
    "{{- '<|' + message['role'] + '|>' + message['content'] + '<|end|>' -}}"
    "{%- endfor -%}"
    "{%- if add_generation_prompt -%}{{- '<|assistant|>' -}}{%- endif -%}"
)
BUILD_ERRORS = (ValueError, TypeError, KeyError, RuntimeError, AssertionError, ZeroDivisionError)
FROM_TOKENIZER = {"vocab_size", "pad_token_id", "bos_token_id", "eos_token_id"}  # settings that it decides


def train_tokenizer(texts: Iterable[str], vocab_size: int) -> Any:
    """A byte-level BPE tokenizer (`PreTrainedTokenizerFast`) with our chat template.

    It has `vocab_size` tokens, or fewer if the texts have no more pairs to merge.

    Raises:
        ModelError: all texts are blank, or none are given.
    """
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    texts = list(texts)
    if not any(text.strip() for text in texts):
        raise ModelError("a tokenizer cannot be trained on 0 texts: add training rows, or use a model that has one")
    tokenizer: Any = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size,
        special_tokens=SPECIAL,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    wrapped: Any = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token=PAD, eos_token=END, clean_up_tokenization_spaces=False
    )
    wrapped.add_special_tokens({"additional_special_tokens": [SYSTEM, USER, ASSISTANT]})
    wrapped.chat_template = CHAT_TEMPLATE
    return wrapped


def build(model: ModelConfig, tokenizer: Any) -> Any:
    """A model of `model.architecture` with random weights under `model.seed`, as wide as the tokenizer.

    Raises:
        ModelError: transformers has no such architecture or setting, or the values contradict each other.
    """
    import torch
    from transformers import AutoModelForCausalLM, GenerationConfig

    config = configure(model, len(tokenizer), tokenizer.pad_token_id, tokenizer.eos_token_id)
    state = torch.random.get_rng_state()
    torch.manual_seed(model.seed)
    try:
        built = AutoModelForCausalLM.from_config(config, dtype=torch.float32, trust_remote_code=False)
    except BUILD_ERRORS as e:
        raise _cannot_be_built(model, e) from e
    finally:
        torch.random.set_rng_state(state)
    built.generation_config = GenerationConfig(eos_token_id=config.eos_token_id, pad_token_id=config.pad_token_id)
    return built


def sketch(model: ModelConfig, vocabulary: int) -> int:
    """The number of parameters of a new model with a vocabulary of this size, which is built without its memory.

    Raises:
        ModelError: as `build` does.
    """
    import torch
    from transformers import AutoModelForCausalLM

    config = configure(model, vocabulary, pad=0, end=1)
    try:
        with torch.device("meta"):
            return parameter_count(AutoModelForCausalLM.from_config(config, trust_remote_code=False))
    except BUILD_ERRORS as e:
        raise _cannot_be_built(model, e) from e


def _cannot_be_built(model: ModelConfig, error: Exception) -> ModelError:
    return ModelError(f"architecture {model.architecture!r} cannot be built from {model.settings}: {error}")


def configure(model: ModelConfig, vocabulary: int, pad: int, end: int) -> Any:
    """The architecture's config, with settings that it has.

    Raises:
        ModelError: it has no such setting, or the values contradict each other.
    """
    architecture = str(model.architecture)
    from huggingface_hub.errors import StrictDataclassError
    from transformers import AutoConfig
    from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES

    if architecture not in MODEL_FOR_CAUSAL_LM_MAPPING_NAMES:
        near = ", ".join(_near(architecture, MODEL_FOR_CAUSAL_LM_MAPPING_NAMES))
        raise ModelError(
            f"transformers has no causal language model of type {architecture!r}; "
            + (f"did you mean {near}?" if near else "use a model type such as llama, qwen3 or gpt2")
        )
    _check_settings(model, AutoConfig.for_model(architecture))
    ids = {"pad_token_id": pad, "bos_token_id": None, "eos_token_id": end}
    try:
        return AutoConfig.for_model(architecture, **{**model.settings, "vocab_size": vocabulary, **ids})
    except (StrictDataclassError, ValueError, TypeError, KeyError, ZeroDivisionError) as e:
        raise ModelError(f"architecture {architecture!r} refuses its settings: {' '.join(str(e).split())}") from e


def _check_settings(model: ModelConfig, default: Any) -> None:
    """Refuse settings that the config class would accept and ignore."""
    known = set(default.to_dict()) | set(default.attribute_map)
    unknown, derived = sorted(set(model.settings) - known), sorted(FROM_TOKENIZER & set(model.settings))
    problems = [f"no setting {name!r}" + _hint(name, known) for name in unknown]
    problems += [f"{name!r} follows from the tokenizer (see `vocab_size` of the model)" for name in derived]
    if problems:
        raise ModelError(f"architecture {model.architecture!r}: {'; '.join(problems)}")


def _hint(name: str, known: Iterable[str]) -> str:
    near = _near(name, known)
    return f" (did you mean {', '.join(near)}?)" if near else ""


def _near(name: str, known: Iterable[str]) -> list[str]:
    import difflib

    return difflib.get_close_matches(name, list(known), n=3, cutoff=0.7)


def save(model: Any, tokenizer: Any, folder: Path) -> None:
    """Write weights (safetensors), config, generation config and tokenizer into `folder`."""
    with quietly():
        model.save_pretrained(folder)
        tokenizer.save_pretrained(folder)


def write_model(model: Any, tokenizer: Any, out: Path, *, name: str, dtype: str) -> ModelRef:
    """Save a model into `out/model` and record it in `out/model.json`; its revision is the hash of its files."""
    folder = out / files.WEIGHTS_FOLDER
    save(model, tokenizer, folder)
    ref = pin_folder(folder, name=name, dtype=dtype).model_copy(update={"path": str(folder)})
    write_ref(out, ref)
    return ref


def parameter_count(model: Any) -> int:
    """Number of weights, including embeddings; tied weights count once."""
    return sum(p.numel() for p in model.parameters())


def short_name(architecture: str, parameters: int) -> str:
    """A readable name for a new model, such as `llama-1.2M` or `gpt2-860K`."""
    for size, letter in ((10**9, "B"), (10**6, "M"), (10**3, "K")):
        if parameters >= size:
            number = parameters / size
            return f"{architecture}-{number:.0f}{letter}" if number >= 100 else f"{architecture}-{number:.1f}{letter}"
    return f"{architecture}-{parameters}"
