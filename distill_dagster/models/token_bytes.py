"""The bytes of text that each token of a tokenizer stands for, by which the tokens of two tokenizers are aligned.

    byte-level BPE   "Ġred"    b" red"        every byte is written as a character of its own
                     "Ã©"      b"\\xc3\\xa9"
    SentencePiece    "▁red"    b" red"        a space is ▁, and a byte without a token of its own is <0xC3>
                     "<0xC3>"  b"\\xc3"
    both             "<|end|>" b""            a special token is no text

Which of the two a tokenizer is follows from the probe texts: their tokens have to be their bytes again. White space in
front does not count, because SentencePiece puts a space there.
"""

import re
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

from distill_dagster.errors import ModelError
from distill_dagster.models.rendering import encode
from distill_dagster.models.same_tokens import PROBE_TEXTS

BYTE = re.compile(r"<0x([0-9A-F]{2})>")
PLAIN_BYTES = (*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100))  # those that GPT-2 writes as themselves


def token_bytes(tokenizer: Any) -> list[bytes]:
    """The bytes of each token id; b"" for special tokens and for ids without a token.

    Raises:
        ModelError: the tokens do not make up the text, as in tokenizers that write it in another form.
    """
    problems = []
    for reading in (_byte_level, _sentence_piece):
        table = _table(tokenizer, reading)
        wrong = next((text for text in PROBE_TEXTS if not _spells(tokenizer, table, text)), None)
        if wrong is None:
            return table
        problems.append(wrong)
    raise ModelError(
        f"the tokens of {type(tokenizer).__name__} cannot be told apart by their bytes: those of {problems[-1]!r} do "
        "not make up this text: use `signal: text`"
    )


def bytes_of(table: Sequence[bytes], ids: Sequence[int]) -> list[bytes]:
    """The bytes of each of these tokens; b"" for one beyond the table, which has padding there."""
    return [table[i] if i < len(table) else b"" for i in ids]


def _spells(tokenizer: Any, table: Sequence[bytes], text: str) -> bool:
    made = b"".join(bytes_of(table, encode(tokenizer, text)))
    return made.lstrip(b" ") == text.encode().lstrip(b" ")


def _table(tokenizer: Any, reading: Callable[[str], bytes]) -> list[bytes]:
    vocabulary, added = tokenizer.get_vocab(), tokenizer.added_tokens_decoder
    table = [b""] * (1 + max(vocabulary.values(), default=-1))
    for token, i in vocabulary.items():
        if i not in added:
            table[i] = reading(token)
        elif not added[i].special:
            table[i] = added[i].content.encode()
    return table


def _byte_level(token: str) -> bytes:
    """The bytes of a token whose characters are bytes; a character that is none stands for itself."""
    known = _characters()
    return b"".join(bytes([known[c]]) if c in known else c.encode("utf-8", "surrogatepass") for c in token)


@lru_cache(maxsize=1)
def _characters() -> dict[str, int]:
    """Character -> byte in GPT-2's alphabet: bytes that it does not write as themselves follow from 256 on."""
    others = [byte for byte in range(256) if byte not in PLAIN_BYTES]
    return {chr(byte): byte for byte in PLAIN_BYTES} | {chr(256 + i): byte for i, byte in enumerate(others)}


def _sentence_piece(token: str) -> bytes:
    """The bytes of a piece."""
    if byte := BYTE.fullmatch(token):
        return bytes([int(byte[1], 16)])
    return token.replace("▁", " ").encode("utf-8", "surrogatepass")
