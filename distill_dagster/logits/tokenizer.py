"""Identifies a tokenizer by a hash of its contents, so that token ids are read only with the tokenizer that made them.

Stored ids mean something to a student only if its tokenizer is the teacher's own. Neither the vocabulary's size nor the
folder's name shows that. The hash covers vocabulary, merges, special tokens, and how text is split and decoded. It
leaves out padding and truncation, which are settings of a call.

    teacher /models/llama-3.1-8b    "9f3c…"
    student /models/llama-3.2-1b    "9f3c…"     the same tokenizer, saved twice
"""

import json
from typing import Any

from distill_dagster.errors import ModelError
from distill_dagster.store.hashing import canonical_json, sha256

OF_A_CALL = ("padding", "truncation", "version")  # parts of a tokenizer.json that change no token


def tokenizer_hash(tokenizer: Any) -> str:
    """Hex SHA-256 of a tokenizer's contents.

    Raises:
        ModelError: it is not a tokenizer of the `tokenizers` library, which lists its contents.
    """
    backend = getattr(tokenizer, "backend_tokenizer", None)
    if backend is None:
        raise ModelError(
            f"{type(tokenizer).__name__} cannot list its vocabulary and merges, so the logits could not say to which "
            "tokenizer they belong: save a `tokenizer.json` beside the model, or remove `teacher.logits`"
        )
    contents = json.loads(backend.to_str())
    return sha256(canonical_json({key: part for key, part in contents.items() if key not in OF_A_CALL}))
