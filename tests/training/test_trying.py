"""The student that is tried answers the first validation rows, wherever they are in the set."""

import pytest

from distill_dagster.store import parquet, schemas
from distill_dagster.training.trying import first_prompts


@pytest.mark.parametrize("count", [1, 3, 5, 99])
def test_validation_rows_come_first_and_others_fill_up(tmp_path, monkeypatch, count):
    monkeypatch.setattr(parquet, "ROWS_PER_GROUP", 2)
    rows = [
        {"split": "validation" if i in (2, 5, 6) else "train", "messages": [{"role": "user", "content": str(i)}]}
        for i in range(8)
    ]
    parquet.write_table(tmp_path / "examples.parquet", rows, schemas.EXAMPLE)
    found = [messages[0]["content"] for messages in first_prompts(tmp_path / "examples.parquet", count)]
    assert found == ["2", "5", "6", "0", "1", "3", "4", "7"][:count]
