"""What a set is made from on disk: sorted as the set needs it, and with an error that says what to do."""

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from distill_dagster.errors import DataError
from distill_dagster.quality import spill as module
from distill_dagster.quality.duplicates.shared_slots import COMPARED, SharedSlots
from distill_dagster.quality.spill import Spill, parts_of
from distill_dagster.store import parquet, schemas

SCHEMA = pa.schema([("row_id", pa.string()), ("line", pa.int64()), ("messages", schemas.MESSAGES)])


def rows(*pairs):
    return [{"row_id": row_id, "line": line, "messages": []} for row_id, line in pairs]


def test_rows_are_sorted_by_bytes_with_nulls_first_and_equal_ones_as_they_come(tmp_path):
    given_rows = rows(
        ("é", 1), ("z", 1), ("a\0", 3), (None, None), ("a", 2), ("a", None), ("a", 5), ("😀", 0), ("￿", 0)
    )
    given_rows[4]["messages"] = [{"role": "user", "content": "\0"}]
    with Spill(tmp_path) as spill:
        tables = [pa.Table.from_pylist(given_rows[:4], SCHEMA), pa.Table.from_pylist(given_rows[4:] * 2, SCHEMA)]
        found = parquet.read_table(spill.sort("rows", tables, SCHEMA, ("row_id", "-line")))
    ordered = sorted(given_rows[:4] + given_rows[4:] * 2, key=lambda row: -(row["line"] or 0))
    assert found == sorted(ordered, key=lambda row: row["row_id"] or "")
    assert not list(tmp_path.iterdir())


def test_a_disk_without_room_is_an_error_that_says_so(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "MEMORY", "24MiB")
    monkeypatch.setattr(module, "SETTINGS", module.SETTINGS | {"max_temp_directory_size": "1KiB"})
    table = pa.Table.from_pylist(rows(*((str(i) * 40, i) for i in range(20_000))), SCHEMA)
    with Spill(tmp_path) as spill, pytest.raises(DataError, match="make room there"):
        spill.sort("rows", [table] * 20, SCHEMA, ("row_id",))
    assert not list(tmp_path.iterdir())


def test_an_error_in_the_rows_is_raised_as_it_is(tmp_path):
    def torn():
        yield pa.Table.from_pylist(rows(("a", 1)), SCHEMA)
        raise DataError("raw.parquet cannot be read")

    with Spill(tmp_path) as spill, pytest.raises(DataError, match=r"^raw\.parquet cannot be read$"):
        spill.sort("rows", torn(), SCHEMA, ("row_id",))


@settings(max_examples=30, deadline=None)
@given(st.lists(st.lists(st.integers(0, 6), min_size=3, max_size=3), max_size=40))
def test_rows_share_a_slot_if_they_share_a_value_and_its_room_holds_them(tmp_path_factory, values):
    columns = np.array(values, np.uint64).reshape(-1, 3)
    with Spill(tmp_path_factory.mktemp("slots")) as spill:
        shared = SharedSlots(spill, 2)
        shared.add(columns[:, 0] + np.uint64(1), columns[:, 1:])
        numbers, room = shared.close()
        slots = np.concatenate([np.empty((0, 3), int), *numbers.blocks()])
    places = {}
    for column in range(3):
        for value in {*columns[:, column].tolist()}:
            own = {*slots[columns[:, column] == value, column].tolist()}
            assert len(own) == 1
            count = int((columns[:, column] == value).sum())
            is_shared = count > 1 and (value != 0 or column == 0)
            assert (own != {-1}) is is_shared
            if is_shared:
                places[own.pop()] = 1 + min(count, COMPARED)
    assert sorted(places) == [
        sum(sorted_room for _, sorted_room in sorted(places.items())[:i]) for i in range(len(places))
    ]
    assert room == sum(places.values())


@given(st.lists(st.integers(0, 9), max_size=30), st.integers(1, 12))
def test_parts_hold_every_place_once_and_are_small(sizes, most):
    parts = list(parts_of(sizes, most))
    assert [place for part in parts for place in range(part.start, part.stop)] == list(range(len(sizes)))
    assert all(sum(sizes[part]) <= most or part.stop - part.start == 1 for part in parts)
