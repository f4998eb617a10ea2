"""The same rows and seed make the same model, and a wrong architecture or setting is named."""

import pytest

from distill_dagster.config import ModelConfig
from distill_dagster.errors import ModelError
from distill_dagster.models.building import build, parameter_count, short_name, train_tokenizer
from distill_dagster.models.pinning import folder_revision
from distill_dagster.models.rendering import encode, render_prompt
from testing.models_tiny import LLAMA, write_model

TEXTS = ["The door is red.", "The cup is green.", "Which colour?", "naïve 漢字 \u2028 line"]


@pytest.fixture(scope="module")
def tokenizer():
    return train_tokenizer(TEXTS, 300)


def test_the_same_rows_and_seed_make_the_same_files(tmp_path):
    assert write_model(tmp_path / "a").revision == write_model(tmp_path / "b").revision


def test_another_seed_makes_other_weights(tmp_path):
    one = write_model(tmp_path / "one")
    other = write_model(tmp_path / "two", ModelConfig(architecture="llama", settings=LLAMA, vocab_size=400, seed=1))
    assert one.parameters == other.parameters
    assert folder_revision(tmp_path / "one") != folder_revision(tmp_path / "two")


def test_building_leaves_the_global_random_state_alone(tokenizer):
    import torch

    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    build(ModelConfig(architecture="llama", settings=LLAMA), tokenizer)
    assert torch.equal(torch.rand(3), expected)


@pytest.mark.parametrize("text", [*TEXTS, "emoji 🦜, tab\t, unseen Ωμέγα", "  two  spaces "])
def test_any_text_survives_the_tokenizer(tokenizer, text):
    assert tokenizer.decode(encode(tokenizer, text)) == text


def test_role_markers_are_one_token_each(tokenizer):
    text = render_prompt(tokenizer, [{"role": "system", "content": "S"}, {"role": "user", "content": "U"}])
    assert text == "<|system|>S<|end|><|user|>U<|end|><|assistant|>"
    markers = [
        tokenizer.convert_tokens_to_ids(m) for m in ("<|system|>", "<|end|>", "<|user|>", "<|end|>", "<|assistant|>")
    ]
    assert [i for i in encode(tokenizer, text) if i in set(markers)] == markers


def test_content_is_never_a_template(tokenizer):
    text = render_prompt(tokenizer, [{"role": "user", "content": "{{ 7 * 7 }}{% raw %}"}])
    assert "{{ 7 * 7 }}{% raw %}" in text


@pytest.mark.parametrize(("architecture", "name"), [("llama", "llama-"), ("gpt2", "gpt2-")])
def test_architectures_take_the_settings_of_their_own_config(tokenizer, architecture, name):
    settings = LLAMA if architecture == "llama" else {"n_embd": 32, "n_layer": 1, "n_head": 2}
    model = build(ModelConfig(architecture=architecture, settings=settings), tokenizer)
    assert model.get_input_embeddings().weight.shape == (len(tokenizer), 32)
    assert short_name(architecture, parameter_count(model)).startswith(name)


@pytest.mark.parametrize(
    ("architecture", "settings", "message"),
    [
        ("lama", {}, "did you mean llama"),
        ("t5", {}, "no causal language model of type 't5'"),
        ("llama", {"hiden_size": 8}, "no setting 'hiden_size' .did you mean hidden_size"),
        ("llama", {"vocab_size": 8}, "'vocab_size' follows from the tokenizer"),
        ("llama", {"hidden_size": "wide"}, "hidden_size"),
        ("llama", {"hidden_size": 33, "num_attention_heads": 2}, "not a multiple"),
    ],
)
def test_what_cannot_be_built_is_named(tokenizer, architecture, settings, message):
    with pytest.raises(ModelError, match=message):
        build(ModelConfig(architecture=architecture, settings=settings), tokenizer)


def test_no_text_trains_no_tokenizer():
    with pytest.raises(ModelError, match="0 texts"):
        train_tokenizer(["", " "], 300)


@pytest.mark.parametrize(
    ("count", "name"), [(1_234_567, "x-1.2M"), (860_000, "x-860K"), (42, "x-42"), (7 * 10**9, "x-7.0B")]
)
def test_short_names(count, name):
    assert short_name("x", count) == name
