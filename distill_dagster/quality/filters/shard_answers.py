"""One shard's answers, judged by the row filters before the set of all shards is made.

    row d-17, "I'm sorry, but I can't help with that."      refusal
    row d-18, "Label: neutral"                              None

The validated set applies the same filters later. Anything that needs all shards is unknown here: duplicates,
contamination, and the label set of a classification without `quality.labels`.
"""

from collections import Counter
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

from distill_dagster.config import Learn, QualityConfig
from distill_dagster.quality.columns import RAW_USED, TEACHER_USED
from distill_dagster.quality.filters.candidate import candidate_of
from distill_dagster.quality.filters.row_filters import first_reason
from distill_dagster.quality.labels import labels_of
from distill_dagster.redaction import find
from distill_dagster.store import parquet
from distill_dagster.tasks import get_task
from distill_dagster.tasks.prompts import prompts_of

PERSONAL_DATA, UNKNOWN = "personal_data", "unknown_row"


def judged_answers(
    raw: Path, teacher: Path, quality: QualityConfig, learn: Learn
) -> Iterator[tuple[dict[str, Any], str | None]]:
    """Each chosen teacher row with the first reason to refuse it, or None.

    `raw` and `teacher` are the paths of one shard's raw.parquet and teacher.parquet. The reason is `unknown_row` if an
    edit of the file has removed the row, and `personal_data` if the answer holds any, even where
    `quality.personal_data` only flags or redacts it; with `keep` nothing is searched.

    Raises:
        DataError: one of the tables is torn.
    """
    rows = {row["row_id"]: row for row in parquet.read_table(raw, RAW_USED.names)}
    labels = {name: labels_of(name, quality, ()) for name in {row["task"] for row in rows.values()}}
    answers = parquet.load_table(teacher, [*TEACHER_USED.names, "chosen"])
    for answer in parquet.rows_of(answers.filter(answers.column("chosen"))):
        row = rows.get(answer["row_id"])
        prompts = prompts_of(row) if row else []
        if row is None or not 0 <= answer["turn"] < len(prompts):
            yield answer, UNKNOWN
            continue
        task = get_task(row["task"])
        reference = prompts[answer["turn"]].reference
        candidate = candidate_of(row, answer, task, labels[task.name], reference, quality, learn)
        reason = first_reason(candidate)
        if reason is None and quality.personal_data != "keep" and any(map(find, candidate.learned)):
            reason = PERSONAL_DATA
        yield answer, reason


@lru_cache(maxsize=8)
def _counts(raw: Path, teacher: Path, quality: str, learn: Learn) -> Counter[str | None]:
    judged = judged_answers(raw, teacher, QualityConfig.model_validate_json(quality), learn)
    return Counter(reason for _, reason in judged)


def reasons_of(raw: Path, teacher: Path, quality: QualityConfig, learn: Learn) -> Counter[str | None]:
    """Reason -> chosen rows of the shard, with None for rows that pass; rows with `failed` are not answers.

    Several checks ask for the same shard in turn, so recent results are cached. That is safe because the paths name a
    published version, whose files never change.
    """
    return _counts(raw, teacher, quality.model_dump_json(), learn)
