"""The sets are those of the version that held all rows in memory: rows, reasons, counts, facts and data versions.

golden_sets.json holds what that version (commit 6d33b86) made of the same inputs: seed -> kind of set -> data version,
and hashes of the two tables and of the result.
"""

import json
from pathlib import Path

import pytest

from distill_dagster.config import QualityConfig
from distill_dagster.quality import spill
from distill_dagster.quality.duplicates import kept_rows, raw_rows, shared_slots, short_items
from distill_dagster.quality.gold_set import build_gold_set
from distill_dagster.quality.specs import GoldSetSpec, SetSpec
from distill_dagster.quality.synthetic_set import build_set
from distill_dagster.store import files, hashing, parquet, schemas
from tests.quality.set_inputs import Inputs

GOLDEN = json.loads(Path(__file__).with_name("golden_sets.json").read_text())
ROWS = 300


def written(folder, inputs):
    """The inputs as files: the paths of the specs."""
    for n, (raws, answers) in enumerate(inputs.shards):
        parquet.write_table(folder / f"raw-{n}.parquet", raws, schemas.RAW)
        parquet.write_table(folder / f"teacher-{n}.parquet", answers, schemas.TEACHER)
    parquet.write_table(folder / "test.parquet", inputs.test, schemas.RAW)
    (folder / "set").mkdir()
    (folder / "gold").mkdir()
    return [[str(path) for path in sorted(folder.glob(f"{name}-*.parquet"))] for name in ("raw", "teacher")]


def made(folder, seed, turned=False):
    """Kind of set -> what is in the golden file of it; `turned` gives the shards in reverse."""
    inputs = Inputs(seed, ROWS)
    raw, teacher = (paths[::-1] if turned else paths for paths in written(folder, inputs))
    given = {"raw": raw, "test": str(folder / "test.parquet"), "work": str(folder / "work")}
    given |= {"quality": QualityConfig(**inputs.quality), "learn": inputs.learn}
    results = {
        "set": build_set(SetSpec(**given, teacher=teacher, out=str(folder / "set")), "cpu"),
        "gold": build_gold_set(GoldSetSpec(**given, out=str(folder / "gold")), "cpu"),
    }
    assert not list((folder / "work").iterdir()), "nothing is left behind"
    return {kind: summary(folder / kind, result) for kind, result in results.items()}


def summary(out, result):
    tables = [
        hashing.sha256(json.dumps(parquet.read_table(out / name))) for name in (files.EXAMPLES_FILE, files.REJECTS_FILE)
    ]
    said = json.loads(result.model_dump_json(), parse_float=lambda text: round(float(text), 9))
    return [result.data_version, *tables, hashing.sha256(hashing.canonical_json(said))]


@pytest.mark.parametrize("seed", sorted(map(int, GOLDEN)))
def test_the_sets_are_the_ones_of_the_version_before(tmp_path, seed):
    assert made(tmp_path, seed) == GOLDEN[str(seed)]


@pytest.mark.parametrize("seed", [4, 9])
def test_neither_order_nor_threads_nor_the_size_of_blocks_matters(tmp_path, monkeypatch, seed):
    for module in (spill, raw_rows):
        monkeypatch.setattr(module, "BLOCK", 7)
        monkeypatch.setattr(module, "BLOCK_BYTES", 400)
    for name, value in {"MOST_THREADS": 1, "MEMORY": "64MiB", "BATCH": 3}.items():
        monkeypatch.setattr(spill, name, value)
    monkeypatch.setattr(shared_slots, "GROUPED", 500)
    monkeypatch.setattr(short_items, "MOST_PAIRS", 5)
    monkeypatch.setattr(kept_rows, "ZEROS", 100)
    for name in ("ROWS_PER_GROUP", "ROWS_PER_BATCH"):
        monkeypatch.setattr(parquet, name, 11)
    assert made(tmp_path, seed, turned=True) == GOLDEN[str(seed)]
