"""Every kind of file gives the same rows; a torn or foreign file is an error and not a shorter file."""

import gzip
import json

import datasets
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from distill_dagster.config import DataConfig
from distill_dagster.errors import DataError
from distill_dagster.sources.files import json_list, opening
from distill_dagster.sources.files.discovery import SourceFile, content_hash, discover
from distill_dagster.sources.files.rows import read_source
from distill_dagster.sources.judging.decoding import decode
from distill_dagster.sources.judging.verdicts import SourceReading

ROWS = [
    {"messages": [{"role": "user", "content": f'q {n} \u2028 "quoted" \\ [{{,'}], "id": f"row-{n}", "score": n / 4}
    for n in range(700)
]


def decoded(url, limit):
    return (decode(line, limit) for line in read_source(url, limit))


def jsonl(rows=ROWS, ensure_ascii=False):
    return "".join(json.dumps(row, ensure_ascii=ensure_ascii) + "\n" for row in rows).encode()


def write(folder, kind):
    """Write the rows as a file of one kind; returns its path."""
    path = folder / f"rows.{kind}"
    if kind == "saved":
        datasets.Dataset.from_list(ROWS).save_to_disk(str(path), num_shards=3)
    elif kind == "parquet":
        pq.write_table(pa.Table.from_pylist(ROWS), path, row_group_size=300)
    else:
        encoded = {
            "jsonl": jsonl,
            "jsonl.gz": lambda: gzip.compress(jsonl()),
            "jsonl.zst": lambda: zstandard.ZstdCompressor().compress(jsonl()),
            "json": lambda: json.dumps(ROWS, indent=2, ensure_ascii=False).encode(),
        }
        path.write_bytes(encoded[kind]())
    return path


KINDS = ["jsonl", "jsonl.gz", "jsonl.zst", "json", "parquet", "saved"]


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_file_gives_the_same_rows(tmp_path, kind):
    found = list(decoded(str(write(tmp_path, kind)), 1_000_000))
    assert [item.row for item in found] == ROWS
    assert [item.line.number for item in found] == list(range(1, 701))


@pytest.mark.parametrize("kind", KINDS)
def test_a_row_over_the_limit_is_one_reject(tmp_path, kind):
    path = write(tmp_path, kind)
    limit = max(len(json.dumps(row, ensure_ascii=False).encode()) for row in ROWS[:10])
    found = list(decoded(str(path), limit - 20))
    assert len(found) == 700
    assert all(item.row is None and "max_row_bytes" in item.problem for item in found[-100:])


@pytest.mark.parametrize("kind", KINDS[1:])  # a cut .jsonl is a shorter .jsonl
def test_a_torn_file_is_an_error(tmp_path, kind):
    path = write(tmp_path, kind)
    torn = sorted(path.glob("*.arrow"))[-1] if kind == "saved" else path
    torn.write_bytes(torn.read_bytes()[:-9])
    with pytest.raises(DataError, match=r"cannot be read to its end|breaks off"):
        list(decoded(str(path), 1_000_000))


@pytest.mark.parametrize("kind", ["jsonl.gz", "jsonl.zst", "parquet"])
def test_a_file_without_the_format_of_its_name_is_an_error(tmp_path, kind):
    path = tmp_path / f"rows.{kind}"
    path.write_bytes(b"plain text, no more\n" * 20)
    with pytest.raises(DataError, match="cannot be read to its end"):
        list(decoded(str(path), 1_000_000))


@pytest.mark.parametrize("kind", KINDS)
def test_a_missing_file_is_an_error(tmp_path, kind):
    with pytest.raises(DataError, match="does not exist"):
        list(decoded(str(tmp_path / f"gone.{kind}"), 1000))


# .json


def listed(tmp_path, text):
    path = tmp_path / "a.json"
    path.write_bytes(text)
    return [(item.line.number, item.row if item.row is not None else item.problem) for item in decoded(str(path), 1000)]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (b'{"messages": []}', r"does not hold a list of rows, it begins with '{\"messages\": \[\]}'"),
        (b'{"a": 1}\n{"a": 2}', r"one row a line \.jsonl"),
        (b'[{"a": 1}, {"a": 2}', "breaks off inside row 2"),
        (b'[{"a": "1}, {}]', "breaks off inside row 1"),
        (b"[", "breaks off inside row 1"),
        (b'[{"a": 1}] x', "goes on after its list"),
        (b'[{"a": 1}], {}', "goes on after its list"),
    ],
)
def test_a_json_file_that_is_no_list(tmp_path, text, says):
    with pytest.raises(DataError, match=says):
        listed(tmp_path, text)


def test_rows_of_a_list_that_are_no_json_are_refused_one_by_one(tmp_path):
    (_, first), (_, second), (_, third), (number, last) = listed(
        tmp_path, b'\xef\xbb\xbf [{"a": 1,}, {"a" 1} , 3, {"b": "]"}\n]\n'
    )
    assert "not JSON" in first
    assert "not JSON" in second
    assert "int" in third
    assert (number, last) == (4, {"b": "]"})


@pytest.mark.parametrize("text", [b"[]", b" [ \n ] ", b""])
def test_an_empty_list_has_no_row(tmp_path, text):
    assert listed(tmp_path, text) == []


def test_a_comma_without_a_row_is_a_refused_row(tmp_path):
    assert [row if isinstance(row, dict) else row[:19] for _, row in listed(tmp_path, b'[{"a": 1}, ]')] == [
        {"a": 1},
        "the row is not JSON",
    ]


def test_a_long_row_of_a_list_is_skipped(tmp_path, monkeypatch):
    monkeypatch.setattr(json_list, "CHUNK", 16)
    monkeypatch.setattr(opening, "CHUNK", 16)
    (_, first), (_, second) = listed(tmp_path, b'[{"a": "%s"}, {"b": 2}]' % (b"x" * 5000))
    assert "the row has 5,009 bytes" in first
    assert second == {"b": 2}


TEXT = st.text(st.sampled_from('ab"\\[]{},: \n\u2028é'), max_size=12)
VALUE = st.recursive(
    st.none() | st.integers() | TEXT, lambda v: st.lists(v, max_size=3) | st.dictionaries(TEXT, v, max_size=3)
)


@settings(deadline=None)
@given(st.lists(VALUE, max_size=6), st.integers(1, 9), st.sampled_from([None, 1]))
def test_any_list_in_any_pieces(tmp_path_factory, values, chunk, indent):
    text = json.dumps(values, indent=indent, ensure_ascii=False).encode()
    path = tmp_path_factory.getbasetemp() / "any.json"
    path.write_bytes(text)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(opening, "CHUNK", chunk)
        assert [json.loads(line.data) for line in json_list.read_json_list(str(path), 10_000)] == values


# tables


def table_of(tmp_path, columns, schema=None):
    path = tmp_path / "t.parquet"
    pq.write_table(pa.table(columns, schema=schema), path)
    return [item.row for item in decoded(str(path), 10_000)]


def test_a_null_in_a_table_is_a_missing_key(tmp_path):
    messages = [[{"role": "user", "content": "q", "name": None}], [{"role": "user", "content": None, "name": "Ann"}]]
    assert table_of(tmp_path, {"messages": messages, "id": ["a", None]}) == [
        {"messages": [{"role": "user", "content": "q"}], "id": "a"},
        {"messages": [{"role": "user", "name": "Ann"}]},
    ]


def test_values_that_json_has_not_become_text_or_null(tmp_path):
    import datetime
    from decimal import Decimal

    day = datetime.date(2024, 2, 3)
    (row,) = table_of(tmp_path, {"day": [day], "price": [Decimal("1.50")], "x": [float("nan")], "n": [2**63 - 1]})
    assert row == {"day": "2024-02-03", "price": "1.50", "x": None, "n": 2**63 - 1}


def test_a_column_of_bytes_is_refused_by_name(tmp_path):
    with pytest.raises(DataError, match="'image' holds bytes"):
        table_of(tmp_path, {"image": [{"bytes": b"\xff", "path": "a.png"}]})


def test_a_saved_dataset_is_one_shard_whose_version_follows_its_rows(tmp_path):
    data = datasets.Dataset.from_list(ROWS[:4])
    data.save_to_disk(str(tmp_path / "all" / "part"))
    (tmp_path / "all" / "other").mkdir()
    (source,) = discover(DataConfig(train=f"{tmp_path}/all/*", test="x"))
    assert source == SourceFile("train-part", "train", f"{tmp_path}/all/part")
    before = content_hash(source)
    data.select([3, 1]).save_to_disk(str(tmp_path / "again"))
    again = SourceFile("train-part", "train", str(tmp_path / "again"))
    assert content_hash(again) != before
    assert [item.row["id"] for item in decoded(again.url, 1000)] == ["row-3", "row-1"]


def test_a_folder_of_splits_asks_for_one_of_them(tmp_path):
    one = datasets.Dataset.from_list(ROWS[:2])
    datasets.DatasetDict({"train": one, "test": one}).save_to_disk(str(tmp_path / "both"))
    with pytest.raises(DataError, match="2 splits; name the folder of one: test, train"):
        discover(DataConfig(train=f"{tmp_path}/both", test="x"))
    (source,) = discover(DataConfig(train=f"{tmp_path}/both/train", test="x"))
    assert len(list(decoded(source.url, 1000))) == 2


def test_a_plain_folder_says_how_its_files_are_named(tmp_path):
    with pytest.raises(DataError, match=r"is a folder, and .* for its files write .*/\*"):
        discover(DataConfig(train=str(tmp_path), test="x"))


def test_line_numbers_of_rejects_count_over_the_files_of_a_saved_dataset(tmp_path):
    rows = [{"messages": [{"role": "user", "content": text}]} for text in ("a", "b", " ", "d")]
    datasets.Dataset.from_list(rows).save_to_disk(str(tmp_path / "d"), num_shards=2)
    reading = SourceReading(SourceFile("d", "test", str(tmp_path / "d")), DataConfig(train="x", test="x"), "qa")
    rejects = [reject for batch in reading for reject in batch.rejects]
    assert [(r["line"], r["code"]) for r in rejects] == [(3, "E010")]
    assert rejects[0]["snippet"] == '{"messages":[{"role":"user","content":" "}]}'


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-be", "utf-8-sig"])
@pytest.mark.parametrize("name", ["a.jsonl", "a.jsonl.gz", "a.json"])
def test_text_of_windows_is_read(tmp_path, monkeypatch, encoding, name):
    monkeypatch.setattr(opening, "CHUNK", 101)  # odd, so that characters are cut
    rows = [{**row, "é": "“x” 🙂"} for row in ROWS[:20]]
    lines = [json.dumps(row, ensure_ascii=False) for row in rows]
    text = f"[{','.join(lines)}]" if name.endswith(".json") else "\r\n".join(lines)
    data = text.encode(encoding)
    (tmp_path / name).write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
    assert [item.row for item in decoded(str(tmp_path / name), 10_000)] == rows


def test_text_of_windows_that_breaks_off_is_an_error(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_bytes(json.dumps(ROWS[0]).encode("utf-16")[:-1])
    with pytest.raises(
        DataError, match=r"a\.jsonl begins as UTF-16 and is not valid \(truncated data\); save it as UTF-8"
    ):
        list(read_source(str(path), 10_000))
