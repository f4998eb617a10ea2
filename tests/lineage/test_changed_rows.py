"""How many rows of two versions differ, in memory for digests alone."""

import random
import tracemalloc

import pyarrow.parquet as pq
import pytest

from distill_dagster.lineage.changed_rows import count_changed
from distill_dagster.store import parquet, schemas

COLUMNS = ["row_id", "messages", "reference"]


def row(number: int, text: str = "") -> dict:
    return {"row_id": str(number), "messages": [{"role": "user", "content": f"{number}? {text}"}], "reference": ["1"]}


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda rows: rows, (0, 50)),
        (lambda rows: random.Random(1).sample(rows, len(rows)), (0, 50)),
        (lambda rows: [*rows[:7], row(7, "edited"), *rows[8:]], (1, 50)),
        (lambda rows: [*rows, row(50), row(51)], (2, 52)),
        (lambda rows: rows[3:], (3, 47)),
        (lambda rows: [{**rows[0], "reference": ["2"]}, *rows[2:]], (2, 49)),
        (lambda rows: [], (50, 0)),
    ],
)
def test_added_changed_and_removed_rows_count_in_any_order(tmp_path, change, expected):
    rows = [row(number) for number in range(50)]
    old, new = tmp_path / "old.parquet", tmp_path / "new.parquet"
    parquet.write_table(old, rows, schemas.RAW)
    parquet.write_table(new, change(rows), schemas.RAW)
    assert count_changed(new, old, COLUMNS) == expected


def test_an_answer_is_named_by_its_sample_and_turn_too(tmp_path):
    rows = [{"row_id": "a", "sample": s, "turn": t, "raw_text": f"{s} {t}"} for s in range(2) for t in range(2)]
    old, new = tmp_path / "old.parquet", tmp_path / "new.parquet"
    parquet.write_table(old, rows, schemas.TEACHER)
    parquet.write_table(new, [{**rows[0], "raw_text": "other"}, *rows[1:]], schemas.TEACHER)
    assert count_changed(new, old, list(rows[0])) == (1, 4)


def test_memory_holds_no_text_of_all_rows(tmp_path):
    path, text = tmp_path / "rows.parquet", "word " * 400
    parquet.write_table(path, (row(number, text) for number in range(6_000)), schemas.RAW)  # 12 MB of text
    tracemalloc.start()
    try:
        assert count_changed(path, path, COLUMNS) == (0, 6_000)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 8e6


def test_a_column_that_an_older_table_lacks_changes_no_row(tmp_path):
    rows = [row(number) for number in range(5)]
    old, new = tmp_path / "old.parquet", tmp_path / "new.parquet"
    parquet.write_table(new, [*rows[:4], {**rows[4], "not_gold": [0]}], schemas.RAW)
    pq.write_table(parquet.load_table(new).drop_columns("not_gold"), old)
    assert count_changed(new, old, [*COLUMNS, "not_gold"]) == (1, 5)
