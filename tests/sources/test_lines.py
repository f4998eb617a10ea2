"""Lines of plain and compressed files: all of them, or an error."""

import gzip

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from distill_dagster.errors import DataError
from distill_dagster.sources.files import lines, opening
from distill_dagster.sources.files.lines import read_lines


def write(tmp_path, data, name="a.jsonl"):
    path = tmp_path / name
    path.write_bytes(data)
    return str(path)


def texts(url, limit=1000):
    return [(line.number, line.data) for line in read_lines(url, limit)]


def test_only_newline_ends_a_line(tmp_path):
    separators = "a\u2028b\u0085c\x0bd\x0ce\rf"
    assert texts(write(tmp_path, f"{separators}\nx".encode())) == [(1, separators.encode()), (2, b"x")]


def test_bom_crlf_blank_lines_and_a_missing_final_newline(tmp_path):
    assert texts(write(tmp_path, b"\xef\xbb\xbfa\r\n\r\n  \nb\r\nc")) == [(1, b"a"), (4, b"b"), (5, b"c")]


def test_a_byte_order_mark_of_a_file_that_was_joined_is_no_text(tmp_path):
    assert texts(write(tmp_path, b"a\n\xef\xbb\xbfb\n\xef\xbb\xbf\nc")) == [(1, b"a"), (2, b"b"), (4, b"c")]


def test_a_long_line_is_counted_and_not_kept(tmp_path, monkeypatch):
    monkeypatch.setattr(opening, "CHUNK", 7)
    found = list(read_lines(write(tmp_path, b"a\n" + b"x" * 500 + b"\nb"), 100))
    assert [(line.number, line.data, line.size) for line in found] == [(1, b"a", 1), (2, None, 500), (3, b"b", 1)]


@pytest.mark.parametrize(("size", "kept"), [(100, True), (101, False)])
def test_the_limit_counts_only_the_row(tmp_path, size, kept):
    row = b"x" * size
    (line,) = read_lines(write(tmp_path, b"\xef\xbb\xbf" + row + b"\r\n"), 100)
    assert (line.data == row) is kept
    assert size <= line.size <= size + 4


@given(st.lists(st.binary(max_size=30), max_size=8), st.integers(1, 40))
def test_any_chunk_size_gives_the_same_lines(tmp_path_factory, rows, chunk):
    data = b"\n".join(rows)
    pieces = (data[i : i + chunk] for i in range(0, len(data), chunk))
    whole = [row.removesuffix(b"\r").removeprefix(lines.BOM) for row in data.split(b"\n")]
    expected = [(n, row) for n, row in enumerate(whole, 1) if row.strip()]
    assert [(line.number, line.data) for line in lines.split(pieces, 1000)] == expected


def test_gzip_and_zstd_of_several_parts(tmp_path):
    compress = zstandard.ZstdCompressor().compress
    assert texts(write(tmp_path, gzip.compress(b"a\n") + gzip.compress(b"b"), "a.jsonl.gz")) == [(1, b"a"), (2, b"b")]
    assert texts(write(tmp_path, compress(b"a\n") + compress(b"b"), "a.jsonl.zst")) == [(1, b"a"), (2, b"b")]


def test_a_torn_file_is_an_error(tmp_path):
    body = b"".join(b'{"a": %d}\n' % i for i in range(5000))
    for name, data in (("a.jsonl.gz", gzip.compress(body)), ("a.jsonl.zst", zstandard.ZstdCompressor().compress(body))):
        url = write(tmp_path, data[: len(data) * 2 // 3], name)
        with pytest.raises(DataError, match="cannot be read to its end"):
            list(read_lines(url, 1000))
    with pytest.raises(DataError, match="cannot be read to its end"):
        list(read_lines(write(tmp_path, b"not gzip", "b.jsonl.gz"), 1000))


def test_a_missing_file_is_an_error(tmp_path):
    with pytest.raises(DataError, match="does not exist"):
        list(read_lines(str(tmp_path / "gone.jsonl"), 1000))
