"""The previews of tables in the UI."""

import dagster as dg

from distill_dagster.assets.views.tables import CELL, preview_rows, table_preview
from distill_dagster.store import parquet, schemas
from tests.evaluation.builders import ROWS


def records(found: dg.TableMetadataValue) -> list[dict]:
    return [dict(record.data) for record in found.records]


def test_cells_are_short_text_and_numbers_stay_numbers(tmp_path):
    rows = [ROWS[7] | {"source_line": 12}, ROWS[6]]
    parquet.write_table(tmp_path / "raw.parquet", rows, schemas.RAW)
    first, second = records(
        preview_rows(
            tmp_path / "raw.parquet", ["row_id", "messages", "reference", "group", "source_line"], "raw_dataset"
        )
    )
    assert list(first) == ["row_id", "messages", "reference", "group", "source_line"]
    assert first["messages"].startswith("one two three")
    assert (len(first["messages"]), first["messages"][-1]) == (CELL, "…")
    assert (first["reference"], first["group"], first["source_line"]) == ('["7"]', "null", 12)
    assert type(first["source_line"]) is int
    assert (second["messages"], second["reference"]) == ("Premise: no gold.", "[]")


def test_only_the_first_rows_are_shown_and_an_empty_table_says_so(tmp_path):
    path = tmp_path / "raw.parquet"
    parquet.write_table(path, ROWS, schemas.RAW)
    assert [row["row_id"] for row in records(preview_rows(path, ["row_id"], "raw_dataset", limit=2))] == ["n0", "n1"]
    parquet.write_table(path, [], schemas.RAW)
    assert preview_rows(path, ["row_id"], "raw_dataset") is None
    assert table_preview(path, ["row_id"], "raw_dataset").value == "no rows"
