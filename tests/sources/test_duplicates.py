"""Digests find the same duplicates as the rows themselves, in few bytes a row."""

import numpy as np
import orjson
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from distill_dagster.errors import DataError
from distill_dagster.sources.judging.duplicates import DigestTable, IdsOfFiles, Seen, content_digest, digest
from distill_dagster.sources.judging.judge import Judged


def row(line, text, row_id, reference=()):
    messages = [{"role": "user", "content": text}]
    return {"row_id": row_id, "task": "qa", "messages": messages, "reference": list(reference), "source_line": line}


def joined(digests):
    return b"".join(digests)


def problems(seen, rows, given):
    """The problem that `seen` finds with each row, "" without one."""
    table = pa.table({"row_id": [r["row_id"] for r in rows], "source_line": [r["source_line"] for r in rows]})
    written = [orjson.dumps(r["messages"]) for r in rows]
    contents = joined(content_digest(r["task"], m, r["reference"]) for r, m in zip(rows, written, strict=True))
    ids = joined(digest(r["row_id"].encode()) for r in rows)
    found = seen.problems(Judged(table, b"", [], contents, ids, given, []))
    return [found.get(n, "") for n in range(len(rows))]


@settings(deadline=None)
@given(st.lists(st.sets(st.integers(0, 300)), max_size=30))
def test_a_table_finds_what_was_added(batches):
    table, held = DigestTable(), {}
    for batch in batches:
        new = [n for n in batch if n not in held]
        table.add(joined(digest(b"%d" % n) for n in new), [n + 1 for n in new])
        held |= {n: n + 1 for n in new}
    asked = list(range(301))
    assert table.find(joined(digest(b"%d" % n) for n in asked)).tolist() == [held.get(n, 0) for n in asked]


def test_half_a_digest_is_not_enough():
    table = DigestTable()
    table.add(bytes(8) + b"a" * 8, [5])
    asked = [bytes(8) + b"a" * 8, bytes(8) + b"b" * 8, b"a" * 8 + bytes(8)]
    assert table.find(joined(asked)).tolist() == [5, 0, 0]


def test_a_row_costs_48_bytes():
    seen, rows = Seen(), 0
    for start in range(1, 30_001, 1000):
        batch = [row(line, f"q {line}", f"id {line}") for line in range(start, start + 1000)]
        assert not any(problems(seen, batch, [True] * 1000))
        rows += 1000
    held = sum(run.nbytes for table in (seen._contents, seen._ids) for run in table._runs)
    assert held == 48 * rows


def oracle(rows, given):
    """E011 by comparing the rows themselves."""
    contents, ids, found = {}, {}, []
    for one, own in zip(rows, given, strict=True):
        content = (one["messages"][0]["content"], tuple(one["reference"]))
        if content in contents:
            found.append(f"the row is the same as line {contents[content]}")
        elif one["row_id"] in ids:
            found.append(f"id {one['row_id']!r}" if own else "the messages equal those of line")
        else:
            contents[content] = ids[one["row_id"]] = one["source_line"]
            found.append("")
    return found


SMALL = st.sampled_from("abcd")


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(SMALL, SMALL, st.lists(SMALL, max_size=1), st.booleans()), max_size=20), st.integers(1, 7))
def test_any_batches_give_the_verdicts_of_the_rows_themselves(drawn, size):
    rows = [row(n, text, row_id, reference) for n, (text, row_id, reference, _) in enumerate(drawn, 1)]
    given_ids = [own for *_, own in drawn]
    seen, found = Seen(), []
    for start in range(0, len(rows), size):
        found += problems(seen, rows[start : start + size], given_ids[start : start + size])
    expected = oracle(rows, given_ids)
    assert [bool(f) for f in found] == [bool(e) for e in expected]
    assert all(f.startswith(e) for f, e in zip(found, expected, strict=True))


def test_an_id_in_two_files_names_both():
    ids = IdsOfFiles()
    ids.require_new(["a", "b"], "one")
    ids.require_new(["c"], "one")
    ids.require_new([], "two")
    with pytest.raises(DataError, match="'b' is in one and in two"):
        ids.require_new(["d", "b"], "two")


def test_an_empty_table_finds_nothing():
    assert DigestTable().find(b"").shape == (0,)
    assert np.array_equal(DigestTable().find(digest(b"")), [0])
