"""The bytes of a text's tokens are the text's bytes, for byte-level BPE and for pieces with byte fallback."""

import pytest
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from distill_dagster.errors import ModelError
from distill_dagster.models.building import train_tokenizer
from distill_dagster.models.rendering import encode
from distill_dagster.models.same_tokens import PROBE_TEXTS
from distill_dagster.models.token_bytes import bytes_of, token_bytes

TEXTS = ["The door is red.", "Die Tür ist rot. 門は赤い 🙂"]


def pieces(*, lower: bool = False):
    """A tokenizer as SentencePiece makes them: ▁ for a space, one in front of every text, <0x..> for other bytes."""
    words = ["▁The", "▁door", "▁is", "▁red", "▁", ".", "T", "ü", "r", "門", *"abcdefghijklmnopqstuvwxyz"]
    vocabulary = {token: i for i, token in enumerate(["<unk>", "</s>", *(f"<0x{b:02X}>" for b in range(256)), *words])}
    made = Tokenizer(models.BPE(vocabulary, [], unk_token="<unk>", byte_fallback=True, fuse_unk=True))
    steps = [normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")]
    made.normalizer = normalizers.Sequence([normalizers.Lowercase(), *steps] if lower else steps)
    made.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()])
    return PreTrainedTokenizerFast(tokenizer_object=made, eos_token="</s>", unk_token="<unk>")


@pytest.mark.parametrize("made", [train_tokenizer(TEXTS, 300), pieces()], ids=["byte level", "pieces"])
def test_the_bytes_of_the_tokens_are_those_of_the_text(made):
    table = token_bytes(made)
    for text in [*PROBE_TEXTS, *TEXTS, "\U0001f9d1\U0001f3fd‍\U0001f680"]:
        ids = encode(made, text)
        assert b"".join(bytes_of(table, ids)).lstrip(b" ") == text.encode().lstrip(b" ")
    assert bytes_of(table, [made.eos_token_id, len(table) + 5]) == [b"", b""]


def test_a_character_may_be_several_tokens():
    made = train_tokenizer(TEXTS, 261)  # bytes alone
    assert bytes_of(token_bytes(made), encode(made, "ü")) == [b"\xc3", b"\xbc"]


def test_an_added_token_that_is_not_special_is_its_text():
    made = train_tokenizer(TEXTS, 300)
    made.add_tokens(["zebra é"])
    assert bytes_of(token_bytes(made), encode(made, "a zebra é")) == [b"a", b" ", "zebra é".encode()]


def test_a_tokenizer_that_writes_the_text_in_another_form_is_refused():
    with pytest.raises(ModelError, match=r"cannot be told apart by their bytes: those of .The door is red"):
        token_bytes(pieces(lower=True))


def test_a_tokenizer_without_bytes_is_refused():
    made = Tokenizer(models.WordLevel({"[UNK]": 0, "red": 1}, unk_token="[UNK]"))
    made.pre_tokenizer = pre_tokenizers.Whitespace()
    with pytest.raises(ModelError, match="do not make up this text"):
        token_bytes(PreTrainedTokenizerFast(tokenizer_object=made, unk_token="[UNK]"))
