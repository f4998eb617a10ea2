"""Whether a published shard holds requests that another run should send again, whichever version published it.

    "errors": {"http_498": 3}                 a fault that may pass: the shard counts as incomplete
    "errors": {"E010": 1}                     a prompt that never fits: complete
    finish reason network_error in the table  an interrupted answer that version 0.1.0 took for a whole one: incomplete

A manifest says whether its shard was complete by the rules of the version that wrote it. The rules of today count.
"""

from functools import lru_cache
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from distill_dagster.store import files
from distill_dagster.store.manifest import Manifest
from distill_dagster.teachers.faults import may_heal
from distill_dagster.teachers.finish import INTERRUPTED, meaning_of

STAGE = "teacher_outputs"


def is_unsettled(manifest: Manifest) -> bool:
    """Whether a shard's requests that failed, or were interrupted, may succeed in another run."""
    if manifest.asset != STAGE:
        return False
    codes = [*manifest.facts.get("errors", {}), *manifest.facts.get("judge_errors", {})]
    ends = manifest.facts.get("finish_reasons")
    ends = _ends(manifest.file(files.TEACHER_FILE)) if ends is None else ends
    return any(map(may_heal, codes)) or any(meaning_of(end) == INTERRUPTED for end in ends)


@lru_cache(maxsize=10_000)
def _ends(table: Path) -> tuple[str, ...]:
    """The finish reasons in a table whose manifest does not count them; none if it cannot be read."""
    try:
        column = pq.read_table(table, columns=["finish_reason", "status"])
    except (OSError, pa.ArrowInvalid):
        return ()
    words = set(zip(column["status"].to_pylist(), column["finish_reason"].to_pylist(), strict=True))
    return tuple(word for status, word in words if status == "ok" and word is not None)
