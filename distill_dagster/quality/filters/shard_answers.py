"""One shard's answers as the row filters see them, before the set of all shards is made.

    row d-17, "I'm sorry, but I can't help with that."      refusal
    row d-18, "Label: neutral"                              None

The filters of the validated set look at the same rows later. What needs all shards is not known here: duplicates,
contamination, and for a classification without `quality.labels` whether a label is one of the set.
"""

from collections import Counter
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

from distill_dagster.config import Learn, QualityConfig
from distill_dagster.quality.examples.rows import RAW, TEACHER
from distill_dagster.quality.filters.candidate import candidate_of
from distill_dagster.quality.filters.filters import first_reason
from distill_dagster.quality.labels import labels_of
from distill_dagster.redaction import find
from distill_dagster.store import parquet
from distill_dagster.tasks import get_task
from distill_dagster.tasks.prompts import prompts_of

PERSONAL_DATA, UNKNOWN = "personal_data", "unknown_row"


def judged_answers(
    raw: Path, teacher: Path, quality: QualityConfig, learn: Learn
) -> Iterator[tuple[dict[str, Any], str | None]]:
    """Each chosen teacher row with the first reason to refuse it; of raw.parquet and teacher.parquet of one shard.

    An answer to a row that is not there any more, since the file was edited meanwhile, is `unknown_row`.

    An answer in which personal data is found has that for a reason where `quality.personal_data` is not `keep`, also
    where it is only flagged or redacted.

    Raises:
        DataError: one of the tables is torn.
    """
    rows = {row["row_id"]: row for row in parquet.read_table(raw, RAW.names)}
    labels = {name: labels_of(name, quality, ()) for name in {row["task"] for row in rows.values()}}
    answers = parquet.load_table(teacher, [*TEACHER.names, "chosen"])
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
    """How many of the shard's chosen rows have each reason, None for a row without one; `failed` ones are no answers.

    Several checks ask for the same shard one after another: the paths are those of a published version, whose files
    never change, so the last ones are remembered.
    """
    return _counts(raw, teacher, quality.model_dump_json(), learn)
