"""A GGUF file holds the student's weights, shape and tokenizer, as other readers than ours find them."""

from pathlib import Path

import gguf
import numpy as np
import pytest
import torch

from distill_dagster.errors import ModelError
from distill_dagster.models.gguf_file import read_gguf_model, read_gguf_tokenizer
from distill_dagster.models.rendering import encode, render_prompt
from distill_dagster.release.export.gguf_file import stored_as
from distill_dagster.release.export.gguf_vocabulary import vocabulary_of
from testing.exports_tiny import KINDS, export_gguf, load_kind, write_kind
from testing.models_tiny import rows

SEEN_BY_TRANSFORMERS = ("llama", "tied", "qwen2")  # its reader takes no head size, scaling or bias of Llama


def written(kind: str, folder: Path, precision: str = "f32", **changes):
    """The parts of a tiny model, and the GGUF file that is written of it."""
    parts, file = write_kind(kind, folder / "model", **changes), folder / "student.gguf"
    export_gguf(parts, folder / "model", file, precision)
    return parts, file


def tensors(file: Path) -> dict:
    return {tensor.name: tensor for tensor in gguf.GGUFReader(file).tensors}


def field(file: Path, key: str):
    return gguf.GGUFReader(file).fields[key].contents()


@pytest.mark.parametrize("kind", SEEN_BY_TRANSFORMERS)
def test_transformers_reads_the_file_as_the_same_model(kind, tmp_path):
    parts, file = written(kind, tmp_path)
    ids = torch.tensor([encode(parts.tokenizer, render_prompt(parts.tokenizer, rows(1)[0]["messages"]))])
    with torch.no_grad():
        expected, found = load_kind(tmp_path / "model")(ids).logits, read_gguf_model(file).eval()(ids).logits
    torch.testing.assert_close(found[..., : expected.shape[-1]], expected, rtol=1e-4, atol=1e-4)


def test_transformers_reads_the_same_tokens_from_the_file(tmp_path):
    parts, file = written("llama", tmp_path)
    text = "The door number 7 isn't\n\n  blue.\t10.5 €, 3½ – ñandú 👍 x=1"
    assert encode(read_gguf_tokenizer(file), text) == encode(parts.tokenizer, text)


@pytest.mark.parametrize("kind", KINDS)
def test_every_weight_has_its_name_and_shape(kind, tmp_path):
    parts, file = written(kind, tmp_path)
    state = load_kind(tmp_path / "model").state_dict()
    found = tensors(file)
    factors = {"rope_freqs.weight"} if kind in ("llama 3", "linear") else set()
    untied = set() if parts.config.tie_word_embeddings else {"output.weight"}
    assert {name for name in found if not name.startswith("blk.")} == (
        {"token_embd.weight", "output_norm.weight"} | factors | untied
    )
    per_layer = [name for name in state if name.startswith("model.layers.0.")]
    assert len([name for name in found if name.startswith("blk.0.")]) == len(per_layer)
    for part, name in (("self_attn.q_proj", "attn_q"), ("self_attn.k_proj", "attn_k"), ("mlp.down_proj", "ffn_down")):
        weight = state[f"model.layers.1.{part}.weight"]
        assert tuple(reversed(found[f"blk.1.{name}.weight"].shape.tolist())) == tuple(weight.shape)
        assert np.sort(found[f"blk.1.{name}.weight"].data, axis=None) == pytest.approx(
            np.sort(weight.numpy(), axis=None)
        ), "the rows may have moved, and no value has changed"


def test_a_scaling_of_the_positions_becomes_factors_of_the_frequencies(tmp_path):
    _, file = written("linear", tmp_path)
    assert tensors(file)["rope_freqs.weight"].data == pytest.approx(4.0)
    _, file = written("llama 3", tmp_path / "other")
    factors = tensors(file)["rope_freqs.weight"].data
    assert (factors[0], factors[-1]) == pytest.approx((1.0, 8.0)), "short waves stay, and long ones are stretched"


def test_the_metadata_say_what_the_model_is(tmp_path):
    parts, file = written("wide heads", tmp_path, "q8_0")
    said = {
        "general.architecture": "llama",
        "general.name": "desk",
        "general.file_type": gguf.LlamaFileType.MOSTLY_Q8_0,
        "llama.context_length": 256,
        "llama.attention.head_count": 4,
        "llama.attention.head_count_kv": 2,
        "llama.attention.key_length": 24,
        "llama.rope.dimension_count": 24,
        "llama.rope.freq_base": parts.config.rope_parameters["rope_theta"],
        "tokenizer.ggml.model": "gpt2",
        "tokenizer.ggml.pre": "gpt-2",
        "tokenizer.ggml.eos_token_id": parts.tokenizer.eos_token_id,
        "tokenizer.ggml.add_bos_token": False,
        "tokenizer.chat_template": parts.tokenizer.chat_template,
    }
    assert {key: field(file, key) for key in said} == said


@pytest.mark.parametrize("precision", ["q8_0", "q4_0"])
def test_blocks_dequantize_to_the_weights_within_the_error_of_their_bits(precision, tmp_path):
    _, file = written("qwen2", tmp_path, precision)
    state = load_kind(tmp_path / "model").state_dict()
    steps = {gguf.GGMLQuantizationType.Q8_0: 127, gguf.GGMLQuantizationType.Q4_0: 8}
    kinds = set()
    for name, of in (("token_embd", "embed_tokens"), ("blk.0.attn_q", "layers.0.self_attn.q_proj")):
        tensor, weight = tensors(file)[f"{name}.weight"], state[f"model.{of}.weight"].numpy()
        kinds.add(tensor.tensor_type)
        found = gguf.dequantize(tensor.data, tensor.tensor_type)
        blocks = np.abs(weight).reshape(*weight.shape[:-1], -1, 32).max(axis=-1, keepdims=True)
        error = np.abs(found - weight).reshape(*blocks.shape[:-1], 32)
        assert (error <= blocks / steps[tensor.tensor_type] * 1.01).all()
        assert error.max() > 0
    assert kinds == {gguf.GGMLQuantizationType.Q8_0, gguf.GGMLQuantizationType[precision.upper()]}


def test_what_has_no_whole_blocks_is_stored_in_16_bits():
    assert stored_as("blk.0.attn_q.weight", (64, 64), "q8_0") == "Q8_0"
    assert stored_as("blk.0.attn_q.weight", (48, 48), "q8_0") == "F16"
    assert stored_as("blk.0.attn_norm.weight", (64,), "q8_0") == "F32"
    assert stored_as("output.weight", (400, 64), "q4_0") == "Q8_0"


def test_a_value_that_16_bits_cannot_store_is_refused(tmp_path):
    parts = write_kind("llama", tmp_path / "model")
    model = load_kind(tmp_path / "model")
    with torch.no_grad():
        model.model.layers[0].mlp.up_proj.weight[0, 0] = 1e6
    model.save_pretrained(tmp_path / "model")
    with pytest.raises(ModelError, match=r"blk\.0\.ffn_up\.weight holds values above 65,504.*gguf_f32"):
        export_gguf(parts, tmp_path / "model", tmp_path / "f", "f16")


def test_the_same_student_gives_the_same_file(tmp_path):
    _, one = written("qwen3", tmp_path / "one", "q8_0")
    _, other = written("qwen3", tmp_path / "other", "q8_0")
    assert one.read_bytes() == other.read_bytes()


def test_embeddings_without_a_token_get_unused_ones(tmp_path):
    parts = write_kind("llama", tmp_path)
    size = len(parts.tokenizer) + 8
    vocabulary = vocabulary_of(parts.tokenizer, size, parts.ends)
    assert len(vocabulary.tokens) == size == len(set(vocabulary.tokens))
    assert vocabulary.kinds[-8:] == [gguf.TokenType.UNUSED] * 8
