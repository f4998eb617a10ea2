"""Writes a student as a GGUF file for llama.cpp and Ollama, with the official `gguf` package.

    model.layers.0.self_attn.q_proj.weight    (H·D, E)    blk.0.attn_q.weight    rows reordered for Llama, see `_paired`
    model.embed_tokens.weight                 (V, E)      token_embd.weight      tied weights of the output: once
    model.norm.weight                         (E,)        output_norm.weight     float32 in every format

Matrices are stored in the format's type; of `q4_0`, the embedding and the output are in Q8_0, because errors there
change most answers. Blocks have 32 values, so that a matrix whose rows are no multiple of 32 long is stored in f16.

shapes: V vocabulary, E hidden size, H heads, D head size
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from distill_dagster.errors import ModelError
from distill_dagster.models.pinning import model_files
from distill_dagster.release.export.gguf_shape import architecture_of, frequency_factors, head_size
from distill_dagster.release.export.gguf_vocabulary import Vocabulary

BLOCK = 32
LARGEST_F16 = 65504.0
EMBEDDINGS = ("token_embd.weight", "output.weight")
FILE_TYPES = {"f32": "ALL_F32", "f16": "MOSTLY_F16", "q8_0": "MOSTLY_Q8_0", "q4_0": "MOSTLY_Q4_0"}


def write_gguf(model: Path, config: Any, vocabulary: Vocabulary, out: Path, *, precision: str, name: str) -> None:
    """Write the weights of a model's folder, with its tokenizer and chat template, into the file `out`.

    Raises:
        ModelError: llama.cpp cannot run the model, or a weight does not fit the precision.
    """
    import gguf

    architecture = architecture_of(config)
    writer = gguf.GGUFWriter(out, gguf.MODEL_ARCH_NAMES[architecture])
    writer.add_name(name)
    writer.add_file_type(gguf.LlamaFileType[FILE_TYPES[precision]])
    _add_shape(writer, config)
    _add_vocabulary(writer, vocabulary)
    for tensor, values in _tensors(model, config, architecture):
        _add_tensor(writer, tensor, values, precision)
    if (factors := frequency_factors(config)) is not None:
        writer.add_tensor("rope_freqs.weight", factors)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def _add_shape(writer: Any, config: Any) -> None:
    size = head_size(config)
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_block_count(config.num_hidden_layers)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_key_length(size)
    writer.add_value_length(size)
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_rope_freq_base(config.rope_parameters["rope_theta"])
    writer.add_rope_dimension_count(size)
    writer.add_vocab_size(config.vocab_size)


def _add_vocabulary(writer: Any, vocabulary: Vocabulary) -> None:
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre(vocabulary.rule)
    writer.add_token_list(vocabulary.tokens)
    writer.add_token_types(vocabulary.kinds)
    writer.add_token_merges(vocabulary.merges)
    for marker, token in vocabulary.markers.items():
        getattr(writer, f"add_{marker}_token_id")(token)
    writer.add_add_bos_token(vocabulary.adds_bos)
    writer.add_chat_template(vocabulary.template)


def _tensors(model: Path, config: Any, architecture: Any) -> Iterator[tuple[str, Any]]:
    """Every weight under its name in GGUF, as float32."""
    import gguf
    from safetensors import safe_open

    names, llama = gguf.get_tensor_name_map(architecture, config.num_hidden_layers), gguf.MODEL_ARCH.LLAMA
    heads = {"attn_q": config.num_attention_heads, "attn_k": config.num_key_value_heads}
    for path in (file for file in model_files(model) if file.suffix == ".safetensors"):
        with safe_open(path, framework="pt") as weights:
            for name in sorted(weights.keys()):
                if name == "lm_head.weight" and config.tie_word_embeddings:
                    continue
                found = names.get_name(name, try_suffixes=(".weight", ".bias"))
                if found is None:
                    raise ModelError(f"{path.name} holds the weight {name}, which GGUF has no name for")
                values = weights.get_tensor(name).float().numpy()
                count = heads.get(found.split(".")[-2]) if architecture == llama else None
                yield found, _paired(values, count) if count else values


def _paired(values: Any, heads: int) -> Any:
    """The rows (H·D, …) of a query or key matrix, or its bias, with the two values of a rotary pair side by side.

    transformers keeps the first values of all pairs of a head, and then the second ones.
    """
    rows = values.shape[0]
    return values.reshape(heads, 2, rows // heads // 2, *values.shape[1:]).swapaxes(1, 2).reshape(values.shape)


def _add_tensor(writer: Any, name: str, values: Any, precision: str) -> None:
    import gguf
    import numpy as np

    values = np.ascontiguousarray(values)
    kind = gguf.GGMLQuantizationType[stored_as(name, values.shape, precision)]
    if kind == gguf.GGMLQuantizationType.F16 and np.abs(values).max() > LARGEST_F16:
        raise ModelError(f"{name} holds values above {LARGEST_F16:,.0f}, which 16 bits cannot store: use `gguf_f32`")
    writer.add_tensor(name, gguf.quants.quantize(values, kind), raw_dtype=kind)


def stored_as(name: str, shape: tuple[int, ...], precision: str) -> str:
    """The type in which a tensor of a format is stored, by its name in `gguf.GGMLQuantizationType`."""
    if len(shape) == 1 or precision == "f32":
        return "F32"
    if precision == "f16" or shape[-1] % BLOCK:
        return "F16"
    return "Q8_0" if name in EMBEDDINGS else precision.upper()
