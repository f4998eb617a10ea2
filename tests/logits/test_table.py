"""The file on disk: its size, what is read back, and the errors of a torn one."""

import json

import numpy as np
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from distill_dagster.cli import app
from distill_dagster.errors import DataError
from distill_dagster.logits.distributions import Distributions, encode
from distill_dagster.logits.size import FOOTER, measure_file
from distill_dagster.logits.table import LogitsWriter, read_logits
from distill_dagster.store import parquet, schemas

VOCAB = 151_936


def distributions(tokens, k=64, seed=0):
    """Well spread log-probabilities over incompressible ids."""
    rng = np.random.default_rng(seed)
    ids = np.stack([rng.choice(VOCAB, k, replace=False) for _ in range(tokens)])
    logprobs = -np.cumsum(rng.exponential(0.2, (tokens, k)), axis=1).astype(np.float16)
    tail = np.float16(-rng.exponential(3, tokens))
    return Distributions(ids, logprobs, tail, np.minimum(rng.geometric(0.6, tokens) - 1, k - 1))


def row(i, made, precision="lossless"):
    return {
        "row_id": f"train-{i:05}",
        "sample": 0,
        "turn": 0,
        "tokens": len(made.ids),
        **encode(made, VOCAB, precision),
        "k": made.ids.shape[1],
        "vocab_size": VOCAB,
        "precision": precision,
        "temperature": 1.0,
        "tokenizer_hash": "9f3c" * 16,
        "teacher_revision": "a" * 40,
    }


def write(path, groups, tokens=40, precision="lossless"):
    """Write a file of `groups` (rows in each row group); returns the distributions in it."""
    made = [[distributions(tokens, seed=100 * g + i) for i in range(count)] for g, count in enumerate(groups)]
    with LogitsWriter(path) as writer:
        for g, group in enumerate(made):
            writer.write([row(100 * g + i, one, precision) for i, one in enumerate(group)])
    return [one for group in made for one in group]


def test_what_is_written_is_read_back_a_row_group_at_a_time(tmp_path):
    made = write(tmp_path / "logits.parquet", [5, 3])
    assert pq.ParquetFile(tmp_path / "logits.parquet").num_row_groups == 2
    back = list(read_logits(tmp_path / "logits.parquet"))
    assert [one.key for one in back][::5] == [("train-00000", 0, 0), ("train-00100", 0, 0)]
    for one, given in zip(back, made, strict=True):
        np.testing.assert_array_equal(one.ids, given.ids)
        np.testing.assert_array_equal(one.logprobs, given.logprobs.astype(np.float32))
        np.testing.assert_array_equal(one.tail_logmass, given.tail_logmass.astype(np.float32))
        np.testing.assert_array_equal(one.token_ids, given.token_ids)
        assert (one.vocab_size, one.temperature) == (VOCAB, 1.0)


def test_rows_can_be_read_before_the_rest_of_the_file_is(tmp_path):
    path = tmp_path / "logits.parquet"
    write(path, [2, 2])
    with pq.ParquetFile(path) as file:
        column = file.metadata.row_group(1).column(schemas.LOGITS.names.index("topk_ids"))
    content = bytearray(path.read_bytes())
    start = column.data_page_offset
    content[start : start + column.total_compressed_size] = bytes(column.total_compressed_size)
    path.write_bytes(content)
    rows = read_logits(path)
    assert [next(rows).row_id, next(rows).row_id] == ["train-00000", "train-00001"]
    with pytest.raises(DataError, match=r"logits\.parquet cannot be read as logits"):
        next(rows)


@pytest.mark.parametrize(("precision", "most"), [("lossless", 275), ("compact", 210)])
def test_a_token_costs_at_most_what_is_promised(tmp_path, precision, most):
    path = tmp_path / "logits.parquet"
    write(path, [40, 40], precision=precision)
    measured = measure_file(path)
    assert measured["bytes"] == path.stat().st_size
    assert measured["bytes_per_token"] == path.stat().st_size / (80 * 40) <= most
    assert sum(column["bytes"] for column in measured["columns"].values()) == measured["bytes"]
    assert measured["columns"].keys() == {*schemas.LOGITS.names, FOOTER}
    assert measured["columns"][FOOTER]["bytes_per_token"] < 3, "no blob stands in the footer's statistics"
    assert (measured["rows"], measured["tokens"], measured["k"]) == (80, 3200, 64)
    assert (measured["precision"], measured["vocab_size"]) == (precision, VOCAB)


def test_compact_is_smaller_where_log_probabilities_are_spread(tmp_path):
    sizes = []
    for precision in ("lossless", "compact"):
        write(tmp_path / precision, [40], precision=precision)
        sizes.append((tmp_path / precision).stat().st_size)
    assert sizes[1] < sizes[0] * 0.95


@pytest.mark.parametrize("kept", [0, 4, 0.5, 0.99])
def test_a_torn_file_is_named(tmp_path, kept):
    path = tmp_path / "logits.parquet"
    write(path, [3])
    content = path.read_bytes()
    path.write_bytes(content[: int(kept * len(content)) if kept < 1 else kept])
    for read in (measure_file, lambda path: list(read_logits(path))):
        with pytest.raises(DataError, match=r"logits\.parquet cannot be read as logits"):
            read(path)


def test_a_missing_file_and_another_table_are_named(tmp_path):
    other = tmp_path / "raw.parquet"
    parquet.write_table(other, [], schemas.RAW)
    for path in (tmp_path / "nothing.parquet", other):
        for read in (measure_file, lambda path: list(read_logits(path))):
            with pytest.raises(DataError, match=path.name.replace(".", r"\.")):
                read(path)


def test_a_column_of_another_size_is_an_error_and_not_other_numbers(tmp_path):
    path, made = tmp_path / "logits.parquet", distributions(4)
    with LogitsWriter(path) as writer:
        writer.write([{**row(0, made), "tokens": 3}])
    with pytest.raises(DataError, match="192 numbers of 18 bits"):
        list(read_logits(path))


def test_the_command_prints_bytes_a_token_by_column_and_in_total(tmp_path):
    path = tmp_path / "logits.parquet"
    write(path, [4])
    shown = CliRunner().invoke(app, ["logits", str(path)])
    assert shown.exit_code == 0, shown.output
    for word in ("topk_ids", "tail_logmass", FOOTER, "total", "4 rows, 160 tokens", "k 64", "vocab_size 151936"):
        assert word in shown.stdout
    assert "precision lossless" in shown.stdout
    document = json.loads(CliRunner().invoke(app, ["logits", str(path), "--json"]).stdout)
    assert document == measure_file(path)


def test_the_command_shows_an_empty_file(tmp_path):
    path = tmp_path / "logits.parquet"
    with LogitsWriter(path):
        pass
    document = json.loads(CliRunner().invoke(app, ["logits", str(path), "--json"]).stdout)
    assert (document["rows"], document["bytes_per_token"], document["k"]) == (0, 0, None)
    assert CliRunner().invoke(app, ["logits", str(path)]).exit_code == 0


def test_the_command_exits_with_two_for_a_torn_file(tmp_path):
    path = tmp_path / "logits.parquet"
    path.write_bytes(b"PAR1")
    result = CliRunner().invoke(app, ["logits", str(path)])
    assert result.exit_code == 2
    assert "cannot be read as logits" in result.output.replace("\n", " ")
