"""The set from a million short rows: rows a second, whether that holds, and memory.

What is timed is the worker of `validated_synthetic_set`: it reads the shards' tables, sorts, filters, finds exact and
near duplicates and what 3,000 test rows and the rows held out for validation ask, and writes the set. Each size runs in
a process of its own, so that the peak is that size's alone. The tables are written before, in shards of 100,000 rows, a
block of rows at a time.

    quality_rows_per_s_100k, quality_rows_per_s_1m       teacher rows by wall time
    quality_cpu_s_per_100k_rows_1m                       CPU time, which a busy machine does not change
    quality_peak_mb_100k, quality_peak_mb_1m             resident memory at its peak
    quality_linearity                                    seconds a row at 1,000,000 divided by those at 100,000

The rows are requests to a help desk: 8 to 16 words drawn from 4,000 by Zipf's law, one of 40 labels as the answer. 5 in
100 repeat an earlier one, 3 repeat one with a typo, 1 in 1,000 is a test row; 1 answer in 50 is bad in one of the ways
that the filters know; 1 row in 100 is held out.
"""

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from benchmarks._peak import peak_bytes
from distill_dagster.config import QualityConfig
from distill_dagster.store import hashing, parquet, schemas

SIZES = {"100k": 100_000, "1m": 1_000_000}
TEST_ROWS = 3_000
VOCABULARY, LABELS = 4_000, 40
BAD = ("", "None", "I'm sorry, but I can't help with that.", "no label of the set", "card. card. card. card. card.")
BLOCK, SHARD = 10_000, 100_000


def measure() -> dict[str, float]:
    """The measures of both sizes."""
    found = {name: in_own_process(rows) for name, rows in SIZES.items()}
    small, large = found["100k"], found["1m"]
    return {
        "quality_rows_per_s_100k": SIZES["100k"] / small["seconds"],
        "quality_rows_per_s_1m": SIZES["1m"] / large["seconds"],
        "quality_cpu_s_per_100k_rows_1m": large["cpu_seconds"] / 10,
        "quality_peak_mb_100k": small["peak_mb"],
        "quality_peak_mb_1m": large["peak_mb"],
        "quality_linearity": large["cpu_seconds"] / small["cpu_seconds"] / 10,
    }


def in_own_process(rows: int) -> dict[str, float]:
    """Seconds, CPU seconds and the peak in MiB of the set of so many rows."""
    with tempfile.TemporaryDirectory() as folder:
        for step in ("write", "build"):
            done = subprocess.run(
                [sys.executable, "-m", "benchmarks.quality", step, str(rows), folder],
                check=True,
                capture_output=True,
                text=True,
            )
        return json.loads(done.stdout.splitlines()[-1])


def write(rows: int, folder: Path) -> None:
    """Make the three tables."""
    rng = np.random.default_rng(0)
    words = [_word(i) for i in range(VOCABULARY)]
    test = [_raw(f"test#{i}", text, "test", i) for i, text in enumerate(_texts(rng, words, TEST_ROWS))]
    parquet.write_table(folder / "test.parquet", test, schemas.RAW)
    asked = [row["messages"][0]["content"] for row in test]
    for start in range(0, rows, SHARD):
        shard = f"{start // SHARD:05}"
        with (
            parquet.TableWriter(folder / f"raw-{shard}.parquet", schemas.RAW) as raw,
            parquet.TableWriter(folder / f"teacher-{shard}.parquet", schemas.TEACHER) as teacher,
        ):
            for first in range(start, min(rows, start + SHARD), BLOCK):
                texts = _spoilt(rng, _texts(rng, words, BLOCK), asked)
                ids = [f"{shard}.jsonl#{i}" for i in range(first, first + BLOCK)]
                splits = ["validation" if hash_of(row_id) % 100 == 0 else "train" for row_id in ids]
                rows_of = [_raw(*row, line) for line, row in enumerate(zip(ids, texts, splits, strict=True))]
                raw.write(pa.Table.from_pylist(rows_of, schemas.RAW))
                teacher.write(pa.Table.from_pylist([_answer(rng, i) for i in ids], schemas.TEACHER))


def build(folder: Path) -> dict[str, float]:
    """Make the set of the tables."""
    from distill_dagster.quality.specs import SetSpec
    from distill_dagster.quality.synthetic_set import build_set

    (folder / "out").mkdir()
    spec = SetSpec(
        raw=sorted(map(str, folder.glob("raw-*.parquet"))),
        teacher=sorted(map(str, folder.glob("teacher-*.parquet"))),
        test=str(folder / "test.parquet"),
        quality=QualityConfig(labels=[f"label_{i}" for i in range(LABELS)]),
        learn="answer",
        out=str(folder / "out"),
        work=str(folder / "work"),
    )
    started, cpu = time.perf_counter(), time.process_time()
    result = build_set(spec, "cpu")
    seconds, cpu_seconds = time.perf_counter() - started, time.process_time() - cpu
    print(result.counts.model_dump_json(), file=sys.stderr)
    return {"seconds": seconds, "cpu_seconds": cpu_seconds, "peak_mb": peak_bytes() / 2**20}


def hash_of(text: str) -> int:
    """A number for a text, the same in every process."""
    return int(hashing.sha256(text)[:8], 16)


def _word(number: int) -> str:
    """A word of two to four syllables."""
    digits, syllables = number + 400, []
    while digits:
        digits, rest = divmod(digits, 20)
        syllables.append("bcdfghjklmnprstvwz"[rest % 18] + "aeiou"[(rest + digits) % 5])
    return "".join(syllables)


def _texts(rng: np.random.Generator, words: list[str], count: int) -> list[str]:
    lengths = rng.integers(8, 17, count)
    drawn = np.minimum(rng.zipf(1.3, int(lengths.sum())), len(words)) - 1
    ends = np.cumsum(lengths)
    return [" ".join(words[i] for i in drawn[end - n : end]) + "?" for n, end in zip(lengths, ends, strict=True)]


def _spoilt(rng: np.random.Generator, texts: list[str], test: list[str]) -> list[str]:
    """Some texts in the place of an earlier one, of that with a typo, or of a test row."""
    kinds = rng.random(len(texts))
    for i in range(1, len(texts)):
        earlier = texts[int(rng.integers(0, i))]
        if kinds[i] < 0.05:
            texts[i] = earlier
        elif kinds[i] < 0.08:
            texts[i] = earlier[:-2] + "s?"
        elif kinds[i] < 0.081:
            texts[i] = test[int(rng.integers(0, len(test)))]
    return texts


def _raw(row_id: str, text: str, split: str, line: int) -> dict[str, Any]:
    return {
        "row_id": row_id,
        "shard": "train",
        "split": split,
        "task": "classification",
        "messages": [{"role": "user", "content": text}],
        "reference": [f"label_{hash_of(row_id) % LABELS}"],
        "source_line": line + 1,
        "meta": "{}",
    }


def _answer(rng: np.random.Generator, row_id: str) -> dict[str, Any]:
    bad = rng.random() < 0.02
    text = BAD[int(rng.integers(0, len(BAD)))] if bad else f"label_{hash_of(row_id) % LABELS}"
    return {
        "row_id": row_id,
        "sample": 0,
        "turn": 0,
        "request_hash": row_id,
        "params": "{}",
        "raw_text": text,
        "finish_reason": "stop",
        "completion_tokens": 4,
        "status": "ok",
        "chosen": True,
    }


if __name__ == "__main__":
    step, rows, folder = sys.argv[1], int(sys.argv[2]), Path(sys.argv[3])
    print(json.dumps(build(folder)) if step == "build" else write(rows, folder))
