"""Three rows that show why a check failed, from the table of rows that the asset refused.

    example_rows(project, "teacher_outputs", "train-part-03", ["truncated", "refusal"])
        [Example("row train.csv#15", "truncated", "The premise says that the"), …]

The reasons take turns, so that the three rows show three different reasons if there are as many.
"""

from collections.abc import Collection, Iterator
from functools import lru_cache
from itertools import chain, islice, zip_longest
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from distill_dagster.alerts.message import Example
from distill_dagster.config import Learn, QualityConfig
from distill_dagster.errors import DataError
from distill_dagster.lineage.project import Project
from distill_dagster.quality.filters.reasons import SNIPPET
from distill_dagster.quality.filters.shard_answers import judged_answers
from distill_dagster.store import files
from distill_dagster.store.manifest import Manifest

EXAMPLES = 3
ROWS_LOOKED_AT = 200_000  # of one table; keeps a tick of the sensor short
BATCH = 10_000
REJECT_COLUMNS = ["row_id", "line", "code", "message", "snippet"]


def example_rows(
    project: Project, asset: str, shard: str | None, reasons: Collection[str] | None = None
) -> list[Example]:
    """At most three rows of a published artefact that were refused for one of `reasons`, by default for any.

    They come from the current version, which may be newer than the failure. An artefact without such a table has none.

    Raises:
        DataError: the table is incomplete.
    """
    manifest = project.store.find(asset, shard)
    if manifest is None or (reasons is not None and not reasons):
        return []
    by_reason = _answers(project, manifest) if asset == "teacher_outputs" else _rejects(manifest)
    turns = zip_longest(*(some for reason, some in by_reason.items() if reasons is None or reason in reasons))
    return list(islice((example for example in chain.from_iterable(turns) if example), EXAMPLES))


def _first_of_each(refused: Iterator[tuple[str, Example]]) -> dict[str, list[Example]]:
    by_reason: dict[str, list[Example]] = {}
    for reason, example in refused:
        some = by_reason.setdefault(reason, [])
        if len(some) < EXAMPLES:
            some.append(example)
    return by_reason


def _answers(project: Project, manifest: Manifest) -> dict[str, list[Example]]:
    """Examples by reason from a shard's answers, judged by the row filters that the checks also count with."""
    raw, config = project.store.get("raw_dataset", manifest.shard).file(files.RAW_FILE), project.config
    answers = manifest.file(files.TEACHER_FILE)
    return _judged(raw, answers, config.quality.model_dump_json(), config.student.learn)


@lru_cache(maxsize=8)  # several checks of one shard fail together, and a published file never changes
def _judged(raw: Path, answers: Path, quality: str, learn: Learn) -> dict[str, list[Example]]:
    def refused() -> Iterator[tuple[str, Example]]:
        judged = judged_answers(raw, answers, QualityConfig.model_validate_json(quality), learn)
        for row, reason in islice(judged, ROWS_LOOKED_AT):
            if reason is not None:
                why = f"{reason} ({row['error_code']})" if row["error_code"] else reason
                yield reason, Example(f"row {row['row_id']}", why, row["raw_text"] or "")

    return _first_of_each(refused())


def _rejects(manifest: Manifest) -> dict[str, list[Example]]:
    """Examples by reason from a table of rejects."""

    def refused() -> Iterator[tuple[str, Example]]:
        for row in _rows(manifest.file(files.REJECTS_FILE), REJECT_COLUMNS):
            where = f"row {row['row_id']}" if row["row_id"] else f"line {row['line']}"
            why = row["message"] if row["message"].startswith(row["code"]) else f"{row['code']}, {row['message']}"
            yield row["code"], Example(where, why, _whole_words(row["snippet"] or ""))

    return _first_of_each(refused()) if files.REJECTS_FILE in manifest.files else {}


def _rows(path: Path, columns: list[str]) -> Iterator[dict[str, Any]]:
    try:
        with pq.ParquetFile(path) as table:
            for batch in islice(table.iter_batches(BATCH, columns=columns), ROWS_LOOKED_AT // BATCH):
                yield from batch.to_pylist()
    except (pa.ArrowInvalid, OSError) as e:
        raise DataError(f"{path} cannot be read as parquet ({e}); materialize that asset again") from e


def _whole_words(snippet: str) -> str:
    """Drop the last word of a snippet that was cut: redaction does not recognize half of a key."""
    return snippet if len(snippet) < SNIPPET else (snippet.rsplit(None, 1) or [""])[0]
