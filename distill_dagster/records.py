"""The Arrow schema of every table that crosses an asset boundary, and the ids of its rows.

One module, so that "what is a teacher row" has one answer. A raw row, as an example:

    row_id      "train.csv#15"            the user's id, else a hash of the messages
    shard       "train-part-00"           the file it came from
    split       "train"                   train | validation | test
    task        "nli"
    messages    [{"role": "user", "content": "Premise: …"}]      what is asked, gold answer removed
    reference   ["entailment"]            gold answers, may be empty
    group       "doc-7"                   rows that stay on one side of a split
    source_line 15                        1-based line (or row) in the file
    meta        '{"lang": "en"}'          every key the format does not know, as JSON

Tables are written as parquet with zstd and at most `ROWS_PER_GROUP` rows a row group.
"""

import contextlib
import hashlib
import itertools
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.parquet as pq

from distill_dagster.errors import DataError

ROWS_PER_GROUP = 10_000
BYTES_PER_GROUP = 1 << 26  # in memory; a row group of long rows ends here

MESSAGES = pa.list_(pa.struct([("role", pa.string()), ("content", pa.string())]))

RAW = pa.schema(
    [
        ("row_id", pa.string()),
        ("shard", pa.string()),
        ("split", pa.string()),
        ("task", pa.string()),
        ("messages", MESSAGES),
        ("reference", pa.list_(pa.string())),
        ("group", pa.string()),
        ("source_line", pa.int64()),
        ("meta", pa.string()),
    ]
)

REJECT = pa.schema(
    [
        ("shard", pa.string()),
        ("line", pa.int64()),
        ("row_id", pa.string()),
        ("stage", pa.string()),  # the asset that refused the row
        ("code", pa.string()),  # E001 … E016, or a filter's reason slug
        ("message", pa.string()),
        ("snippet", pa.string()),
    ]
)

TEACHER = pa.schema(
    [
        ("row_id", pa.string()),
        ("sample", pa.int32()),
        ("turn", pa.int32()),  # 0 but for conversations: the index of the user turn that is answered
        ("request_hash", pa.string()),
        ("teacher", pa.string()),
        ("teacher_revision", pa.string()),
        ("params", pa.string()),  # JSON
        ("raw_text", pa.string()),
        ("reasoning", pa.string()),
        ("answer", pa.string()),  # null: the text is not in the task's form
        ("agreement", pa.float64()),  # 0 … 1, where one of several answers was chosen: what the chooser says of it
        ("chosen", pa.bool_()),  # the one of the row's answers that may be learned
        ("finish_reason", pa.string()),  # stop | length | content_filter | error
        ("prompt_tokens", pa.int32()),
        ("completion_tokens", pa.int32()),
        ("latency_ms", pa.float64()),  # a batch's wall time divided by its rows
        ("cost_usd", pa.float64()),
        ("attempts", pa.int32()),
        ("status", pa.string()),  # ok | failed
        ("error_code", pa.string()),
        ("logprobs", pa.string()),  # JSON, where an endpoint gave them
        ("created_at", pa.timestamp("us", tz="UTC")),
    ]
)

RESPONSE = pa.schema(  # a reply as it came, before anything parses it
    [
        ("request_hash", pa.string()),
        ("teacher", pa.string()),
        ("teacher_revision", pa.string()),
        ("text", pa.string()),
        ("reasoning", pa.string()),  # what a reasoning model returns apart from the text
        ("finish_reason", pa.string()),
        ("prompt_tokens", pa.int32()),
        ("completion_tokens", pa.int32()),
        ("latency_ms", pa.float64()),
        ("attempts", pa.int32()),
        ("cost_usd", pa.float64()),
        ("logprobs", pa.string()),
        ("error_code", pa.string()),
        ("error", pa.string()),
        ("created_at", pa.string()),  # ISO 8601
    ]
)

LOGITS = pa.schema(  # what the teacher thought of every token of an answer; logits/distributions.py unpacks it
    [
        ("row_id", pa.string()),
        ("sample", pa.int32()),
        ("turn", pa.int32()),
        ("tokens", pa.int32()),  # T, the end token included
        ("token_ranks", pa.binary()),  # the answer's token ids, as ranks among topk_ids
        ("topk_ids", pa.binary()),
        ("topk_logprobs", pa.binary()),
        ("tail_logmass", pa.binary()),
        ("k", pa.int32()),
        ("vocab_size", pa.int32()),
        ("precision", pa.string()),  # lossless | compact
        ("temperature", pa.float32()),  # of the softmax
        ("tokenizer_hash", pa.string()),
        ("teacher_revision", pa.string()),
    ]
)

EXAMPLE = pa.schema(  # one thing the student learns: to answer `answer` after `messages`
    [
        ("row_id", pa.string()),
        ("sample", pa.int32()),
        ("turn", pa.int32()),
        ("shard", pa.string()),
        ("split", pa.string()),
        ("task", pa.string()),
        ("messages", MESSAGES),  # with the teacher's own earlier replies in a conversation
        ("answer", pa.string()),  # the target text, which opens with the reasoning where the student learns it
        ("reasoning", pa.string()),  # the teacher's, learned or not; null: none was given
        ("reference", pa.list_(pa.string())),
        ("label", pa.string()),  # the class that is balanced; null where the task has none
        ("gold_score", pa.float64()),  # 0 … 1 against the gold answers; null where there are none
        ("flags", pa.list_(pa.string())),  # what is remarkable of a row that is kept: length, personal_data, rare_label
    ]
)

PREDICTION = pa.schema(
    [
        ("row_id", pa.string()),
        ("turn", pa.int32()),
        ("task", pa.string()),
        ("model", pa.string()),  # teacher | baseline | student
        ("prediction", pa.string()),
        ("parsed", pa.string()),  # null: unparsable, which scores 0
        ("reference", pa.list_(pa.string())),  # gold answers, kept so that any statistic can be redone
        ("score", pa.float64()),  # 0 … 1; null: no reference, so not scored
        ("finish_reason", pa.string()),
        ("prompt_tokens", pa.int32()),
        ("completion_tokens", pa.int32()),
        ("latency_ms", pa.float64()),
    ]
)

VOLATILE = frozenset({"latency_ms", "cost_usd", "attempts", "created_at"})


def canonical_json(value: Any) -> str:
    """`value` as JSON with sorted keys and no spaces: the text that is hashed."""
    return json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":"))


def storable(text: str) -> str:
    """`text` with U+FFFD for each half of a surrogate pair, which a model can write and no table can hold."""
    return text if text.isascii() else text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def sha256(text: str | bytes) -> str:
    """Hex SHA-256 of a text (as UTF-8) or of bytes."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass") if isinstance(text, str) else text).hexdigest()


def row_id_of(messages: Sequence[Mapping[str, str]]) -> str:
    """The id of a row whose user gave none: 16 hex digits of the hash of its canonical messages.

    Each holds `role` and `content` alone. Of text, orjson writes what `canonical_json` writes.
    """
    return sha256(orjson.dumps(list(messages), option=orjson.OPT_SORT_KEYS))[:16]


def rows_hash(rows: Iterable[Mapping[str, Any]]) -> str:
    """Content hash of rows in their order, without what differs between two equal runs (times, cost).

    It is taken over the rows and not over the parquet file, in which a new pyarrow would look like new data.
    """
    digest = hashlib.sha256()
    for row in rows:
        digest.update(
            canonical_json({k: v for k, v in row.items() if k not in VOLATILE}).encode("utf-8", "surrogatepass")
        )
        digest.update(b"\n")
    return digest.hexdigest()


class TableWriter:
    """Rows as parquet under a schema, as they come; a context manager. An empty table is a valid file.

    What is held back for a row group is at most `ROWS_PER_GROUP` rows, and fewer where they are long; one more group
    may be under way, since groups are compressed and written by a thread.
    """

    def __init__(self, path: Path, schema: pa.Schema) -> None:
        self._writer = pq.ParquetWriter(path, schema, compression="zstd")
        self._thread = ThreadPoolExecutor(1)
        self._under_way: Future[None] | None = None
        self._held = [schema.empty_table()]
        self._size = 0  # bytes of what is held
        self.count = 0  # rows that were given

    def __enter__(self) -> "TableWriter":
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        with self._writer, self._thread:
            if kind is None and (len(self._held) > 1 or self.count == 0):
                self._write_group()
            if kind is None and self._under_way:
                self._under_way.result()

    def write(self, rows: pa.Table) -> None:
        """Take rows; a row group is written when there are enough for it."""
        self.count, self._size = self.count + rows.num_rows, self._size + rows.nbytes
        self._held.append(rows)
        if sum(table.num_rows for table in self._held) >= ROWS_PER_GROUP or self._size > BYTES_PER_GROUP:
            self._write_group()

    def _write_group(self) -> None:
        if self._under_way:
            self._under_way.result()
        self._under_way = self._thread.submit(self._writer.write_table, pa.concat_tables(self._held), ROWS_PER_GROUP)
        self._held, self._size = self._held[:1], 0


def write_table(path: Path, rows: Iterable[Mapping[str, Any]], schema: pa.Schema) -> int:
    """Write rows as parquet under `schema`; returns how many. An empty table is a valid file.

    Raises:
        DataError: the disk is full, or the folder cannot be written.
    """
    rows = iter(rows)
    with _writing(path), TableWriter(path, schema) as writer:
        while batch := list(itertools.islice(rows, ROWS_PER_GROUP)):
            writer.write(pa.Table.from_pylist(batch, schema))
    return writer.count


@contextlib.contextmanager
def _writing(path: Path) -> Iterator[None]:
    """A DataError where the disk is full or the folder closed."""
    try:
        yield
    except OSError as e:
        raise DataError(f"{path} cannot be written ({e}): make room, or choose another `store:`, and run again") from e


def save_table(path: Path, table: pa.Table) -> None:
    """Write an Arrow table as `write_table` writes rows, with the same error."""
    with _writing(path):
        pq.write_table(table, path, compression="zstd", row_group_size=ROWS_PER_GROUP)


def rows_of(table: pa.Table) -> Iterator[dict[str, Any]]:
    """The rows of an Arrow table as dictionaries, of which never more than a row group's worth are there."""
    for batch in table.to_batches(max_chunksize=ROWS_PER_GROUP):
        yield from batch.to_pylist()


def load_table(path: Path, columns: Sequence[str] | None = None) -> pa.Table:
    """A parquet file as an Arrow table.

    Raises:
        DataError: the file is torn or is no parquet; the message names it.
    """
    try:
        return pq.read_table(path, columns=list(columns) if columns else None)
    except (pa.ArrowInvalid, OSError) as e:
        raise _torn(path, e) from e


def read_table(path: Path, columns: Sequence[str] | None = None, limit: int | None = None) -> list[dict[str, Any]]:
    """Rows of a parquet file as dictionaries; the first `limit` of them, for which no more than those are read.

    Raises:
        DataError: the file is torn or is no parquet; the message names it.
    """
    if limit is None:
        return load_table(path, columns).to_pylist()
    try:
        with pq.ParquetFile(path) as table:
            batches = table.iter_batches(limit, columns=list(columns) if columns else None)
            return next(batches, pa.RecordBatch.from_pylist([])).to_pylist()
    except (pa.ArrowInvalid, OSError) as e:
        raise _torn(path, e) from e


def _torn(path: Path, error: Exception) -> DataError:
    return DataError(f"{path} cannot be read as parquet ({error}); delete its folder and materialize that asset again")
