"""Numbers as the UI shows them: at least four significant digits, and at least two decimals.

0.9734848484 -> 0.9735      12.34567 -> 12.35      1234.5678 -> 1234.57      0.000123456 -> 0.0001235
"""

import math
from collections.abc import Mapping
from typing import Any

import dagster as dg

EXACT = {"training_config", "made_with_launchpad_settings"}  # a user's own settings, which stay as they were given


def rounded(value: Any) -> Any:
    """The value with every float in it rounded, in lists and in dictionaries too."""
    if isinstance(value, float):
        return _short(value)
    if isinstance(value, Mapping):
        return {key: rounded(inner) for key, inner in value.items()}
    return [rounded(inner) for inner in value] if isinstance(value, list | tuple) else value


def rounded_metadata(metadata: Mapping[str, Any]) -> dict[str, Any]:
    """Metadata with the floats of its numbers, tables and JSON values rounded."""
    return {key: value if key in EXACT else _rounded_entry(value) for key, value in metadata.items()}


def _rounded_entry(value: Any) -> Any:
    if isinstance(value, dg.JsonMetadataValue):
        return dg.MetadataValue.json(rounded(value.data))
    if isinstance(value, dg.FloatMetadataValue):
        return dg.MetadataValue.float(rounded(value.value))
    if isinstance(value, dg.TableMetadataValue):
        records = [dg.TableRecord(rounded(record.data)) for record in value.records]
        return dg.MetadataValue.table(records, schema=value.schema)
    return rounded(value) if isinstance(value, float) else value


def _short(value: float) -> float:
    if value == 0 or not math.isfinite(value):
        return value
    return round(value, max(2, 3 - math.floor(math.log10(abs(value)))))
