"""Three rows that show why a check failed, from the table in which the asset keeps what it refused.

    example_rows(project, "teacher_outputs", "train-part-03", ["success_share", "failed", "truncated"])
        [Example("row train.csv#15", "truncated", "The premise says that the"), …]

Where the check's numbers are called like reasons of the table (here `failed` and `truncated`), only rows refused for
those are shown, otherwise any; the reasons take turns, so that three rows show three of them where there are as many.
"""

from collections.abc import Collection, Iterator
from itertools import chain, islice, zip_longest
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from distill_dagster import files
from distill_dagster.alerts.message import Example
from distill_dagster.errors import DataError
from distill_dagster.lineage import Project
from distill_dagster.quality.reasons import SNIPPET
from distill_dagster.quality.shard_answers import judged_answers

EXAMPLES = 3
ROWS_LOOKED_AT = 200_000  # of a table; keeps a sensor's tick short
BATCH = 10_000
REJECT_COLUMNS = ["row_id", "line", "code", "message", "snippet"]


def example_rows(project: Project, asset: str, shard: str | None, numbers: Collection[str] = ()) -> list[Example]:
    """At most three rows of a published artefact that were refused; none where it keeps no such table.

    They are those of the artefact as it is now, which a later run may have replaced.

    Raises:
        DataError: the table is torn.
    """
    by_reason: dict[str, list[Example]] = {}
    for reason, example in _refused(project, asset, shard):
        some = by_reason.setdefault(reason, [])
        if len(some) < EXAMPLES:
            some.append(example)
    named = {reason: some for reason, some in by_reason.items() if reason in numbers}
    turns = zip_longest(*(named or by_reason).values())
    return list(islice((example for example in chain.from_iterable(turns) if example), EXAMPLES))


def _refused(project: Project, asset: str, shard: str | None) -> Iterator[tuple[str, Example]]:
    """(reason, row) of every refused row, as far as the table is looked at."""
    manifest = project.store.find(asset, shard)
    if manifest is None:
        return
    if asset == "teacher_outputs":
        raw, answers = project.store.get("raw_dataset", shard).file(files.RAW_FILE), manifest.file(files.TEACHER_FILE)
        judged = judged_answers(raw, answers, project.config.quality, project.config.student.learn)
        for row, reason in islice(judged, ROWS_LOOKED_AT):
            if reason is not None:
                why = f"{reason} ({row['error_code']})" if row["error_code"] else reason
                yield reason, Example(f"row {row['row_id']}", why, row["raw_text"] or "")
    elif files.REJECTS_FILE in manifest.files:
        for row in _rows(manifest.file(files.REJECTS_FILE), REJECT_COLUMNS):
            where = f"row {row['row_id']}" if row["row_id"] else f"line {row['line']}"
            why = row["message"] if row["message"].startswith(row["code"]) else f"{row['code']}, {row['message']}"
            yield row["code"], Example(where, why, _whole_words(row["snippet"] or ""))


def _rows(path: Path, columns: list[str]) -> Iterator[dict[str, Any]]:
    try:
        with pq.ParquetFile(path) as table:
            for batch in islice(table.iter_batches(BATCH, columns=columns), ROWS_LOOKED_AT // BATCH):
                yield from batch.to_pylist()
    except (pa.ArrowInvalid, OSError) as e:
        raise DataError(f"{path} cannot be read as parquet ({e}); materialize that asset again") from e


def _whole_words(snippet: str) -> str:
    """A snippet without its last word where it was cut there: half of a key no longer looks like one."""
    return snippet if len(snippet) < SNIPPET else (snippet.rsplit(None, 1) or [""])[0]
