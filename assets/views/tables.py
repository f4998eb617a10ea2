"""What a person reads about an artefact in the Dagster UI: a few rows, the columns, a curve, a scores table."""

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import dagster as dg
import pyarrow as pa

from distill_dagster.store import parquet
from distill_dagster.store.result import Result

CELL = 160  # characters of one cell
NOT_MEASURED = "not measured"


def _cell(value: Any) -> str | int | float:
    """One value as short text; of a list of messages only the last one's content. JSON knows no NaN."""
    if isinstance(value, float) and not math.isfinite(value):
        return NOT_MEASURED
    if isinstance(value, int | float) and not isinstance(value, bool):
        return value
    if isinstance(value, list) and value and isinstance(value[0], dict) and "content" in value[0]:
        value = value[-1]["content"]
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str, allow_nan=False)
    return text if len(text) <= CELL else text[: CELL - 1] + "…"


def preview_rows(path: Path, columns: Sequence[str], limit: int = 5) -> dg.MetadataValue | None:
    """The first rows of a parquet file as a metadata table; None if it has no rows."""
    import pandas as pd

    rows = pd.DataFrame(parquet.read_table(path, columns, limit), columns=list(columns), dtype=object)
    if rows.empty:
        return None
    return dg.MetadataValue.table([dg.TableRecord(cells) for cells in rows.map(_cell).to_dict("records")])


def table_preview(path: Path, columns: Sequence[str]) -> dg.MetadataValue:
    """The same, with the words "no rows" instead of an empty table."""
    return preview_rows(path, columns) or dg.MetadataValue.text("no rows")


def schema_of(schema: pa.Schema) -> dg.TableSchema:
    """An Arrow schema as Dagster's column schema."""
    return dg.TableSchema(columns=[dg.TableColumn(field.name, str(field.type)) for field in schema])


def usage_of(result: Result, dtype: str) -> dict[str, Any]:
    """Device, precision, time and memory of a worker's run, as metadata that plots over partitions."""
    usage = result.usage
    if usage is None:
        return {"dtype": dtype}
    versions = ", ".join(f"{name} {number}" for name, number in usage.versions.items())
    return {
        "device": f"GPU {', '.join(result.leased)}" if result.leased else usage.device,
        "dtype": dtype,
        "seconds": usage.seconds,
        "gpu_seconds": usage.gpu_seconds,
        "peak_memory_mb": round(usage.peak_memory_bytes / 2**20, 1),
        "versions": versions or "not known",
    }


def counts_table(counts: dict[str, int]) -> dg.MetadataValue:
    """Counts as a small table, which reads better than a JSON blob in the UI."""
    rows = [dg.TableRecord({"count of": name, "rows": count}) for name, count in counts.items()]
    return dg.MetadataValue.table(rows or [dg.TableRecord({"count of": "nothing", "rows": 0})])
