"""Rows made up of made-up words, and the tables that the workers read.

    user "Continue: lomi ta suvara ta ..."     reference ["ta resoki lomi ..."]

Words follow Zipf's law and lengths are log-normal, so batches are as ragged as real ones. The same size gives the same
rows.
"""

import itertools
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.gpu.sizes import Size
from distill_dagster.models.ref import ModelRef
from distill_dagster.store import parquet, schemas

SYLLABLES = [consonant + vowel for consonant in "bdfgklmnprstvz" for vowel in "aeiou"]
SPREAD = 0.5  # sigma of the log of the lengths
LONGEST = 3  # times the median

Rows = list[dict[str, Any]]


def write_tables(folder: Path, size: Size, ref: ModelRef | None = None) -> None:
    """Write raw.parquet and test.parquet; with a model also teacher.parquet and examples.parquet, as if it answered."""
    rng = np.random.default_rng(0)
    words = list(itertools.islice(_words(), size.words))
    rows = [_row(rng, words, size, i, "train") for i in range(size.rows)]
    validation = [_row(rng, words, size, i, "validation") for i in range(size.validation)]
    test = [_row(rng, words, size, i, "test") for i in range(size.held_out)]
    parquet.write_table(folder / "raw.parquet", rows, schemas.RAW)
    parquet.write_table(folder / "test.parquet", test, schemas.RAW)
    if ref is not None:
        parquet.write_table(folder / "teacher.parquet", [_teacher_row(row, ref) for row in rows], schemas.TEACHER)
        examples = [_example(row) for row in [*rows, *validation]]
        parquet.write_table(folder / "examples.parquet", examples, schemas.EXAMPLE)


def _words() -> Iterator[str]:
    """Different words, the short ones first."""
    for syllables in itertools.count(1):
        yield from map("".join, itertools.product(SYLLABLES, repeat=syllables))


def _row(rng: np.random.Generator, words: list[str], size: Size, i: int, split: str) -> dict[str, Any]:
    content = "Continue: " + _text(rng, words, size.prompt_words)
    return {
        "row_id": f"{split}-{i}",
        "shard": split,
        "split": split,
        "task": "qa",
        "messages": [{"role": "user", "content": content}],
        "reference": [_text(rng, words, size.answer_words)],
        "source_line": i + 1,
        "meta": "{}",
    }


def _text(rng: np.random.Generator, words: list[str], median: int) -> str:
    length = int(np.exp(rng.normal(np.log(median), SPREAD)).clip(1, LONGEST * median))
    ranks = np.exp(rng.uniform(0, np.log(len(words)), length)).astype(int) - 1  # P(rank) ~ 1 / rank
    return " ".join(words[rank] for rank in ranks)


def _teacher_row(row: dict[str, Any], ref: ModelRef) -> dict[str, Any]:
    """The row's reference as the model's own answer."""
    text = row["reference"][0]
    return {
        "row_id": row["row_id"],
        "sample": 0,
        "turn": 0,
        "teacher": ref.name,
        "teacher_revision": ref.revision,
        "raw_text": text,
        "answer": text,
        "chosen": True,
        "finish_reason": "stop",
        "completion_tokens": 0,
        "status": "ok",
        "created_at": datetime.now(UTC),
    }


def _example(row: dict[str, Any]) -> dict[str, Any]:
    kept = {key: row[key] for key in ("row_id", "shard", "split", "task", "messages", "reference")}
    return {**kept, "sample": 0, "turn": 0, "answer": row["reference"][0]}
