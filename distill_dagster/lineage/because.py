"""Says why an artefact is made, in words for the tags of a run and its log.

teacher_outputs[train-part-03]     raw_dataset[train-part-03] changed, 1 of 400 rows
validated_synthetic_set            teacher_outputs[train-part-03] changed, 1 of 400 rows
student_checkpoint                 validated_synthetic_set and training changed
"""

from collections.abc import Iterator, Mapping
from typing import Any

from distill_dagster.errors import DataError
from distill_dagster.lineage.changed_rows import count_changed
from distill_dagster.lineage.freshness import fingerprint
from distill_dagster.lineage.snapshot import Snapshot
from distill_dagster.lineage.stages import STAGES
from distill_dagster.store import files
from distill_dagster.store.manifest import Manifest, title_of

UNCHANGED = "nothing changed: it is up to date"
NAMED = 3  # shards that are named; the others are counted
TABLES = {  # artefact -> its table, and the columns that make two of its rows equal
    "raw_dataset": (files.RAW_FILE, ["row_id", "messages", "reference", "not_gold"]),
    "teacher_outputs": (files.TEACHER_FILE, ["row_id", "sample", "turn", "raw_text"]),
}
WORDS = {
    "sources": "the held-out files changed",
    "code_version": "the code of the stage changed",
    "hardware": "the hardware changed",
    "released_files": "the files of the release changed",
    "weights": "the shares of the teachers changed",
}


def because(look: Snapshot, name: str, shard: str | None, inputs: Mapping[str, Any]) -> str:
    """Why an artefact with these present inputs is made, or that it is up to date."""
    before = look.find(name, shard)
    if before is None:
        return "it was never made, or its files are gone"
    reasons = [reason for key in {**inputs, **before.inputs} for reason in _reasons(look, key, shard, inputs, before)]
    if not before.complete:
        reasons.append("requests that failed are sent again")
    if not reasons and before.fingerprint == fingerprint(dict(inputs)):
        return UNCHANGED
    return "; ".join(dict.fromkeys(reasons)) or "its inputs changed"


def _reasons(look: Snapshot, key: str, shard: str | None, inputs: Mapping[str, Any], before: Manifest) -> Iterator[str]:
    now, then = inputs.get(key), before.inputs.get(key)
    if now == then:
        return
    if key == "source":
        yield f"{shard} changed"
    elif key not in STAGES:
        yield WORDS.get(key, f"the setting {key} changed")
    elif isinstance(now, dict) and isinstance(then, dict):
        yield from _shards(look, key, now, then)
    else:
        yield _changed(look, key, shard if STAGES[key].sharded else None, then)


def _shards(look: Snapshot, name: str, now: dict[str, str], then: dict[str, str]) -> Iterator[str]:
    """The shards that were added, changed or removed."""
    moved = sorted(shard for shard in {**now, **then} if now.get(shard) != then.get(shard))
    for shard in moved[:NAMED]:
        if shard not in then:
            yield f"{title_of(name, shard)} is new"
        elif shard not in now:
            yield f"{title_of(name, shard)} is gone"
        else:
            yield _changed(look, name, shard, then[shard])
    if len(moved) > NAMED:
        yield f"{len(moved) - NAMED} more shards of {name} changed"


def _changed(look: Snapshot, name: str, shard: str | None, version: Any) -> str:
    rows = changed_rows(look, name, shard, version)
    return f"{title_of(name, shard)} changed{f', {rows}' if rows else ''}"


def changed_rows(look: Snapshot, name: str, shard: str | None, version: Any) -> str:
    """How many rows of an artefact differ from its version before, such as `1 of 400 rows`.

    "" if it is no table of rows, or the version before is not `version`.
    """
    now, then = look.find(name, shard), look.project.store.previous(name, shard)
    if name not in TABLES or now is None or then is None or then.data_version != version:
        return ""
    file, columns = TABLES[name]
    try:
        changed, rows = count_changed(now.file(file), then.file(file), columns)
    except DataError:  # a damaged table: what reads it says so
        return ""
    return f"{changed:,} of {rows:,} rows"
