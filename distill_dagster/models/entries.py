"""Reads one entry of a JSON file in a model's folder, such as `model_type` in its config.json."""

import json
from pathlib import Path
from typing import Any

from distill_dagster.errors import ModelError


def entry(path: Path, key: str) -> Any:
    """One entry of a JSON file; None if the file or the entry does not exist.

    Raises:
        ModelError: the file cannot be read, or does not hold a JSON object.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8")).get(key)
    except FileNotFoundError:
        return None
    except (OSError, ValueError, AttributeError) as e:
        raise ModelError(f"{path} cannot be read ({type(e).__name__}: {e}); fetch or save the model again") from e
