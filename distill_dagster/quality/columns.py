"""The columns of raw rows and teacher rows from which a set is made, and the order in which both are read."""

from collections import Counter
from typing import Any

import pyarrow as pa
import pyarrow.compute

from distill_dagster.store import schemas

pc: Any = pyarrow.compute  # creates its functions on import, so pyright does not know them

# the columns of schemas.RAW and schemas.TEACHER from which the set is made
RAW_USED = pa.schema(
    [
        schemas.RAW.field(name)
        for name in ("row_id", "shard", "split", "task", "messages", "reference", "not_gold", "source_line")
    ]
)
TEACHER_USED = pa.schema(
    [
        schemas.TEACHER.field(name)
        for name in (
            *("row_id", "sample", "turn", "request_hash", "params", "raw_text", "reasoning", "finish_reason"),
            *("completion_tokens", "status", "error_code"),
        )
    ]
)
RAW_ORDER = ("row_id", "-split", "shard", "source_line", "task")  # of equal copies, a held-out one comes first
# a conversation's turns follow one another; the columns after `turn` only break ties
TEACHER_ORDER = (
    *("row_id", "sample", "turn", "status", "finish_reason", "request_hash", "raw_text"),
    *("reasoning", "params", "error_code", "completion_tokens"),
)


def value_counts(column: Any) -> Counter[str]:
    """Value -> how often the column has it; nulls do not count."""
    return Counter({found["values"]: found["counts"] for found in column.drop_null().value_counts().to_pylist()})
