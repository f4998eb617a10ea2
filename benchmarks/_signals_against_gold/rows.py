"""The rows of an experiment: as the product's reader reads them, shuffled, and with the gold answers of a part."""

import json
from pathlib import Path
from typing import Any

import numpy as np

from distill_dagster.config import DataConfig
from distill_dagster.sources.files.discovery import SourceFile
from distill_dagster.sources.specs import ReadSpec
from distill_dagster.store import files, parquet
from distill_dagster.workers import run_worker

Rows = list[dict[str, Any]]


def read(source: Path, folder: Path, train: int, others: int, test: int) -> tuple[Rows, Rows, Rows]:
    """Training and validation rows, as many others with the same validation rows, and test rows.

    `source` holds train/*.jsonl, validation.jsonl and test.jsonl; in `folder` the reader's files are written.
    """
    task = next(json.loads(line) for line in (source / "test.jsonl").open(encoding="utf-8")).get(
        "task", "classification"
    )
    paths = {split: [source / f"{split}.jsonl"] for split in ("validation", "test")}
    paths["train"] = sorted((source / "train").glob("*.jsonl"))
    found, plain = {}, DataConfig(train=["-"], test=["-"])
    for split, of_split in paths.items():
        out = folder / f"read-{split}"
        out.mkdir()
        sources = [SourceFile(key=path.stem, split=split, url=str(path)) for path in of_split]
        run_worker("read_rows", ReadSpec(files=sources, data=plain, task=task, unique_ids=False, out=str(out)))
        found[split] = parquet.read_table(out / files.RAW_FILE)
    shuffled = {
        split: [rows[i] for i in np.random.default_rng(0).permutation(len(rows))] for split, rows in found.items()
    }
    validation, apart = shuffled["validation"][: max(train // 8, 100)], shuffled["train"][train : train + others]
    teachers = [*apart, *validation] if others else []
    return [*shuffled["train"][:train], *validation], teachers, shuffled["test"][:test]


def train_count(rows: Rows) -> int:
    """How many rows train."""
    return sum(row["split"] == "train" for row in rows)


def labelled(rows: Rows, share: float) -> Rows:
    """The rows, with the gold answers of this share of the training rows, and of all validation rows."""
    train = [row["row_id"] for row in rows if row["split"] == "train"]
    unlabelled = {*train[round(share * len(train)) :]}
    return [{**row, "reference": []} if row["row_id"] in unlabelled else row for row in rows]
