"""The name of llama.cpp's splitting rule follows from tokenizer.json; a tokenizer without one is refused."""

import pytest
from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from distill_dagster.errors import ModelError
from distill_dagster.models.building import CHAT_TEMPLATE
from distill_dagster.release.export.gguf_vocabulary import LLAMA_3, QWEN_2, end_problem, splitting_rule, vocabulary_of
from testing.exports_tiny import write_kind

BYTES = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
SPLIT_BYTES = pre_tokenizers.ByteLevel(add_prefix_space=False)


def tokenizer_of(*steps, model=None, normalizer=None, bos=None):
    """A tokenizer of single bytes that splits text in these steps."""
    alphabet = ["<|end|>", "<|bos|>", *sorted(pre_tokenizers.ByteLevel.alphabet())]
    inner = Tokenizer(model or models.BPE(vocab={token: i for i, token in enumerate(alphabet)}, merges=[]))
    if steps:
        inner.pre_tokenizer = pre_tokenizers.Sequence(list(steps)) if len(steps) > 1 else steps[0]
    if normalizer:
        inner.normalizer = normalizer
    inner.decoder = decoders.ByteLevel()
    wrapped = PreTrainedTokenizerFast(tokenizer_object=inner, eos_token="<|end|>", pad_token="<|end|>", bos_token=bos)
    wrapped.chat_template = CHAT_TEMPLATE
    return wrapped


def split(regex):
    return pre_tokenizers.Split(Regex(regex), "isolated", invert=False)


def whole_words():
    alphabet = {token: i for i, token in enumerate(sorted(pre_tokenizers.ByteLevel.alphabet()))}
    return models.BPE(vocab=alphabet, merges=[], ignore_merges=True)


@pytest.mark.parametrize(
    ("rule", "tokenizer"),
    [
        ("gpt-2", tokenizer_of(SPLIT_BYTES)),
        ("gpt-2", tokenizer_of(SPLIT_BYTES, normalizer=normalizers.NFC())),
        ("smollm", tokenizer_of(pre_tokenizers.Digits(individual_digits=True), SPLIT_BYTES)),
        ("qwen2", tokenizer_of(split(QWEN_2), BYTES, normalizer=normalizers.NFC())),
        ("llama-bpe", tokenizer_of(split(LLAMA_3), BYTES, model=whole_words())),
    ],
)
def test_known_rules_have_their_names(rule, tokenizer):
    assert splitting_rule(tokenizer) == rule


@pytest.mark.parametrize(
    ("why", "tokenizer"),
    [
        ("splits text in a way", tokenizer_of()),
        ("splits text in a way", tokenizer_of(BYTES)),
        ("splits text in a way", tokenizer_of(pre_tokenizers.ByteLevel(add_prefix_space=True))),
        ("splits text in a way", tokenizer_of(pre_tokenizers.Digits(individual_digits=False), SPLIT_BYTES)),
        ("splits text in a way", tokenizer_of(split(r"\p{L}+"), BYTES)),
        ("splits text in a way", tokenizer_of(split(LLAMA_3), BYTES)),  # llama.cpp would not merge whole words
        ("rewrites text", tokenizer_of(SPLIT_BYTES, normalizer=normalizers.Lowercase())),
        ("is Unigram and no byte-level BPE", tokenizer_of(SPLIT_BYTES, model=models.Unigram([("a", 0.0)], 0, False))),
    ],
)
def test_others_are_refused_with_the_way_out(why, tokenizer):
    with pytest.raises(ModelError, match=rf"{why}.*export to `onnx_…`"):
        splitting_rule(tokenizer)


def test_markers_are_those_of_the_model(tmp_path):
    parts = write_kind("llama", tmp_path)
    found = vocabulary_of(parts.tokenizer, parts.config.vocab_size, [1, 3])
    assert found.markers == {"bos": 1, "eos": 1, "eot": 3, "pad": 0}
    assert not found.adds_bos
    assert found.tokens[:5] == ["<|pad|>", "<|end|>", "<|system|>", "<|user|>", "<|assistant|>"]


def test_a_prompt_that_begins_with_bos_gets_it_from_llama_cpp():
    tokenizer = tokenizer_of(SPLIT_BYTES, bos="<|bos|>")
    tokenizer.chat_template = "<|bos|>" + CHAT_TEMPLATE
    found = vocabulary_of(tokenizer, len(tokenizer), [0])
    assert (found.adds_bos, found.markers["bos"]) == (True, 1)


def test_more_end_tokens_than_a_file_holds_are_refused(tmp_path):
    tokenizer = write_kind("llama", tmp_path).tokenizer
    assert end_problem(tokenizer, [1, 2, 3]) is None
    assert end_problem(tokenizer, [1, 2, 3, 4]) == "4 tokens end its answers, and a GGUF file has room for 3"


def test_the_template_asks_for_no_long_thought(tmp_path):
    tokenizer = write_kind("llama", tmp_path).tokenizer
    assert vocabulary_of(tokenizer, 400, [1]).template == CHAT_TEMPLATE
    tokenizer.chat_template = (
        CHAT_TEMPLATE + "{% if enable_thinking is not defined or enable_thinking %}<think>{% endif %}"
    )
    assert vocabulary_of(tokenizer, 400, [1]).template.startswith("{%- set enable_thinking = false -%}")
