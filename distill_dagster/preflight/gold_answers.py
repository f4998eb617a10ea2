"""Whether there are gold answers for the gold student, before a teacher is paid for the student beside it.

Requirement("gold answers", "gold_set", "error", "… 0 of 1,200 prompts of the training rows have a gold answer …")
"""

import tempfile
from collections.abc import Iterator
from pathlib import Path

from distill_dagster.lineage.gold_student import CHECKPOINT, GOLD_SET
from distill_dagster.lineage.snapshot import Snapshot
from distill_dagster.planning.source_rows import SourceRows
from distill_dagster.preflight.pending import Pending
from distill_dagster.preflight.requirement import Requirement
from distill_dagster.tasks.prompts import prompts_of

STAGES = {GOLD_SET.name, CHECKPOINT}


def gold_requirements(look: Snapshot, pending: Pending) -> Iterator[Requirement]:
    """An error if no training row has a gold answer. Shards are read until one has."""
    if not STAGES & set(pending.stages):
        return
    with tempfile.TemporaryDirectory() as folder:
        yield _look(look, SourceRows(look, Path(folder)))


def _look(look: Snapshot, source: SourceRows) -> Requirement:
    prompts, unread = 0, []
    for shard in look.shards:
        rows = source.of("raw_dataset", shard)
        if rows is None:
            unread.append(shard)
            continue
        asked = [prompt for row in rows if row["split"] == "train" for prompt in prompts_of(row)]
        if any(prompt.reference for prompt in asked):
            return Requirement("gold answers", "gold_set", "ok", f"training rows of {shard} have gold answers")
        prompts += len(asked)
    if unread:
        return Requirement("gold answers", "gold_set", "not checked", f"{', '.join(unread)} cannot be read")
    said = (
        f"`evaluation.gold_student` trains on gold answers, and 0 of {prompts:,} prompts of the training rows have "
        "one: add `reference` to training rows, or remove `evaluation.gold_student`"
    )
    return Requirement("gold answers", "gold_set", "error", said)
