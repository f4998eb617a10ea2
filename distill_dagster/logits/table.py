"""`logits.parquet`: written a row group at a time, read back a row group at a time.

    row_id  sample  turn  tokens  token_ranks  topk_ids     topk_logprobs  tail_logmass  k   vocab_size  …
    d-17    0       1     3       3 bytes      432 bytes    384 bytes      6 bytes       64  151936

distributions.py encodes the four packed columns, and zstd compresses them. Join the rows to the text by (`row_id`,
`sample`, `turn`), never by position.
"""

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from distill_dagster.errors import DataError
from distill_dagster.logits.distributions import decode
from distill_dagster.store import parquet, schemas

PACKED = ("token_ranks", "topk_ids", "topk_logprobs", "tail_logmass", "tail_logsums", "tail_draws")
ADDED = ("tail_logsums", "tail_draws")  # a file of version 0.1.0 lacks these


@dataclass(frozen=True, slots=True)
class LogitsRow:
    """One answer's distributions. Log-probabilities are natural logarithms over the whole vocabulary.

    In a `compact` file `logprobs` are within (first - last) / 255 of the captured ones.
    """

    row_id: str
    sample: int
    turn: int
    token_ids: np.ndarray  # (T,) int32: the answer, with its end token unless it was cut off
    ids: np.ndarray  # (T, k) int32, likeliest first, the true next token among them
    logprobs: np.ndarray  # (T, k) float32
    tail_logmass: np.ndarray  # (T,) float32: log of the mass of all other tokens, -65504 if there is none
    tail_logsums: np.ndarray | None  # (T, 2) float32: log of the sum of their p**(1/2), and of their p**(1/4)
    draws: np.ndarray | None  # (T, M) int32: tokens drawn from them, -1 behind the last of a row
    vocab_size: int
    temperature: float
    tokenizer_hash: str
    teacher_revision: str

    @property
    def key(self) -> tuple[str, int, int]:
        """The key that joins it to the teacher row."""
        return self.row_id, self.sample, self.turn


class LogitsWriter:
    """Writes rows of `schemas.LOGITS`. Each call of `write` is one row group; no row stays in memory afterwards."""

    def __init__(self, path: Path) -> None:
        columns: Any = [name for name in schemas.LOGITS.names if name not in PACKED]
        self._writer = pq.ParquetWriter(
            path,
            schemas.LOGITS,
            compression="zstd",  # at its first level: the ninth gains nothing here
            use_dictionary=columns,
            write_statistics=columns,  # of a packed column the footer would repeat the smallest and the largest blob
            column_encoding=dict.fromkeys(PACKED, "DELTA_LENGTH_BYTE_ARRAY"),
        )

    def write(self, rows: Sequence[dict[str, Any]]) -> None:
        """Append one row group of at most `parquet.ROWS_PER_GROUP` rows."""
        assert len(rows) <= parquet.ROWS_PER_GROUP, f"{len(rows)} rows in one row group"
        self._writer.write_table(pa.Table.from_pylist(list(rows), schemas.LOGITS))

    def __enter__(self) -> "LogitsWriter":
        return self

    def __exit__(self, kind: type[BaseException] | None, e: BaseException | None, at: TracebackType | None) -> None:
        self._writer.close()


def read_logits(path: Path) -> Iterator[LogitsRow]:
    """The rows of a `logits.parquet`, unpacked; one row group is in memory at a time.

    Raises:
        DataError: the file is torn or no `logits.parquet`; the message names it.
    """
    with opened(path) as file:
        for group in range(file.num_row_groups):
            for row in file.read_row_group(group).to_pylist():
                yield unpack_row(row)


@contextlib.contextmanager
def opened(path: Path) -> Iterator[pq.ParquetFile]:
    """An open `logits.parquet`; an error in the block that shows a torn or a foreign file becomes a `DataError`."""
    try:
        with pq.ParquetFile(path) as file:
            if missing := sorted(set(schemas.LOGITS.names) - set(file.schema_arrow.names) - set(ADDED)):
                raise ValueError(f"it has no column {', '.join(missing)}")
            yield file
    except (OSError, ValueError) as e:  # ArrowInvalid is a ValueError
        raise DataError(
            f"{path} cannot be read as logits ({e}); delete its folder and materialize that asset again"
        ) from e


def unpack_row(row: dict[str, Any]) -> LogitsRow:
    given = decode(row, row["tokens"], row["k"], row["vocab_size"], row["precision"])
    return LogitsRow(
        token_ids=given.token_ids,
        ids=given.ids,
        logprobs=given.logprobs,
        tail_logmass=given.tail_logmass,
        tail_logsums=given.tail_logsums,
        draws=given.draws,
        **{name: row[name] for name in ("row_id", "sample", "turn", "vocab_size", "temperature")},
        tokenizer_hash=row["tokenizer_hash"],
        teacher_revision=row["teacher_revision"],
    )
