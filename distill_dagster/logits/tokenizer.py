"""Identifies a tokenizer by a hash of its contents, so that token ids are read only with the tokenizer that made them.

Stored ids mean something to a student only if its tokenizer is the teacher's own. Neither the vocabulary's size nor the
folder's name shows that. The hash covers vocabulary, merges, special tokens, and how text is split and decoded. It
leaves out padding and truncation, which are settings of a call.

    teacher /models/llama-3.1-8b    "9f3c…"
    student /models/llama-3.2-1b    "9f3c…"     the same tokenizer, saved twice
"""

import json
from pathlib import Path
from typing import Any

from distill_dagster.config import ModelConfig
from distill_dagster.errors import ModelError
from distill_dagster.models.gguf_file import gguf_of, read_gguf_tokenizer
from distill_dagster.models.pinning import fetch_small
from distill_dagster.models.tokenizer import open_tokenizer
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


def require_same_tokenizer(teacher: ModelConfig, student: ModelConfig) -> str:
    """Compare the tokenizers of two existing models before anything is made; returns what was found, in words.

    A new model is not compared: a new student takes the teacher's tokenizer.

    Raises:
        ModelError: they differ, or one cannot be read.
    """
    if teacher.name is None or student.name is None:
        return "the student gets the teacher's"
    hashes = [tokenizer_hash(_tokenizer_of(model)) for model in (teacher, student)]
    if hashes[0] != hashes[1]:
        raise ModelError(
            f"the tokenizer of {student.name} ({hashes[1][:12]}) is not that of {teacher.name} ({hashes[0][:12]}), and "
            "the student's signal needs the same: use a student with the teacher's tokenizer, or `signal: text`"
        )
    return f"{student.name} has the teacher's ({hashes[0][:12]})"


def _tokenizer_of(model: ModelConfig) -> Any:
    name = str(model.name)
    if file := gguf_of(name):
        return read_gguf_tokenizer(file)
    folder = Path(name).expanduser()
    local = folder.is_dir() or folder.is_absolute() or name.startswith(".")
    return open_tokenizer(folder if local else fetch_small(name, model.revision))
