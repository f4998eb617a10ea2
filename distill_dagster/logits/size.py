"""Measures a `logits.parquet` in bytes a token, column by column; `distill-dagster logits FILE` prints it.

The bytes are those on disk, after packing and zstd. The footer, which lists the row groups, belongs to no column.

    column           bytes    bytes a token
    topk_ids       288,114           141.21
    topk_logprobs  101,023            49.51
    …
    (footer)         2,710             1.33
    total          401,552           196.81
"""

from pathlib import Path
from typing import Any

from distill_dagster.logits.table import opened

FOOTER = "(footer)"
OF_THE_FILE = ("k", "vocab_size", "precision", "temperature", "tokenizer_hash", "teacher_revision")


def measure_file(path: Path) -> dict[str, Any]:
    """Rows, tokens, the constants in OF_THE_FILE, and bytes; a file without tokens has 0 bytes a token.

    Raises:
        DataError: the file is torn or no `logits.parquet`; the message names it.
    """
    with opened(path) as file:
        columns, rows = _column_bytes(file.metadata), file.metadata.num_rows
        constants = file.read(["tokens", *OF_THE_FILE])
    tokens, size = sum(constants["tokens"].to_pylist()), path.stat().st_size
    columns[FOOTER] = size - sum(columns.values())
    return {
        "file": str(path),
        "rows": rows,
        "tokens": tokens,
        **{name: _one_or_many(constants[name].unique().to_pylist()) for name in OF_THE_FILE},
        "bytes": size,
        "bytes_per_token": size / tokens if tokens else 0.0,
        "columns": {
            name: {"bytes": count, "bytes_per_token": count / tokens if tokens else 0.0}
            for name, count in columns.items()
        },
    }


def _one_or_many(values: list[Any]) -> Any:
    """The value that all rows share, None if there are no rows, else the list of values."""
    return values[0] if len(values) == 1 else values or None


def _column_bytes(metadata: Any) -> dict[str, int]:
    """Compressed bytes of each column over all row groups, in the order of the schema."""
    sizes: dict[str, int] = {}
    for group in range(metadata.num_row_groups):
        for i in range(metadata.num_columns):
            column = metadata.row_group(group).column(i)
            sizes[column.path_in_schema] = sizes.get(column.path_in_schema, 0) + column.total_compressed_size
    return sizes
