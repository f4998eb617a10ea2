"""One entry of a JSON file in a model's folder, such as `model_type` of its config.json."""

import json
from pathlib import Path
from typing import Any

from distill_dagster.errors import ModelError


def entry(path: Path, key: str) -> Any:
    """One entry of a JSON file; None where the file or the entry is not there.

    Raises:
        ModelError: the file cannot be read, or is no JSON object.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8")).get(key)
    except FileNotFoundError:
        return None
    except (OSError, ValueError, AttributeError) as e:
        raise ModelError(f"{path} cannot be read ({type(e).__name__}: {e}); fetch or save the model again") from e
