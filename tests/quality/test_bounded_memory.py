"""A set of more rows takes hardly more memory."""

import random
import tracemalloc

import pytest

from distill_dagster.config import QualityConfig
from distill_dagster.quality import spill
from distill_dagster.quality.duplicates import raw_rows
from distill_dagster.quality.examples import diversity
from distill_dagster.quality.specs import SetSpec
from distill_dagster.quality.synthetic_set import build_set
from distill_dagster.store import parquet, schemas
from testing.set_rows import answer, raw

SIZES = 500, 2_500
MOST_BYTES = 300  # a row; one of these as a dictionary takes 2,000


@pytest.fixture(autouse=True)
def _small_blocks(monkeypatch):
    for module, names in (
        (spill, ("BLOCK", "BATCH")),
        (raw_rows, ("BLOCK", "SAMPLE")),
        (diversity, ("SAMPLE",)),
        (parquet, ("ROWS_PER_GROUP", "ROWS_PER_BATCH")),
    ):
        for name in names:
            monkeypatch.setattr(module, name, 50)


def peak_of(folder, count):
    """The most bytes that Python and numpy hold while a set of so many rows is made, a tenth of them duplicates."""
    chance = random.Random(0)
    texts = [" ".join(chance.choices("abcdefghij", k=30)) for _ in range(count * 9 // 10)]
    texts += texts[: count - len(texts)]
    folder.mkdir()
    raws = [raw(f"{i:05}", text, task="qa") for i, text in enumerate(texts)]
    parquet.write_table(folder / "raw.parquet", raws, schemas.RAW)
    answers = [{**answer(row["row_id"], "yes"), "chosen": True} for row in raws]
    parquet.write_table(folder / "teacher.parquet", answers, schemas.TEACHER)
    parquet.write_table(folder / "test.parquet", [raw("t", "another one", task="qa")], schemas.RAW)
    given = {name: [f"{folder}/{name}.parquet"] for name in ("raw", "teacher")}
    given |= {"test": f"{folder}/test.parquet", "out": str(folder), "work": f"{folder}/work"}
    del raws, answers, texts
    tracemalloc.start()
    result = build_set(SetSpec(**given, quality=QualityConfig(), learn="answer"), "cpu")
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert result.counts.teacher_rows == count
    assert result.counts.by_reason["duplicate_prompt"] == count - count * 9 // 10
    return peak


@pytest.mark.slow
def test_memory_hardly_grows_with_the_rows(tmp_path):
    peak_of(tmp_path / "first", 100)  # imports and caches
    small, large = (peak_of(tmp_path / str(count), count) for count in SIZES)
    assert (large - small) / (SIZES[1] - SIZES[0]) < MOST_BYTES
