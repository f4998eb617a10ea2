"""Artefacts that hold given rows, and a check of them."""

from distill_dagster.checks import CHECKS
from distill_dagster.lineage.snapshot import Snapshot
from distill_dagster.store import files, hashing, parquet, schemas
from distill_dagster.store.result import Counts, Result


def row(text, split="train", *more, task="qa"):
    """A row of these turns of the user."""
    messages = [{"role": "user", "content": said} for said in (text, *more)]
    return {"row_id": text, "task": task, "split": split, "messages": messages}


def look(name, project, shard=None):
    """What a check finds in the artefacts as they are."""
    (check,) = [check for check in CHECKS if check.name == name]
    return check.run(Snapshot(project), shard)


def publish(project, asset, name, rows, schema, shard=None, result=None):
    """Publish an artefact of these rows, with this result."""

    def make(out, _):
        parquet.write_table(out / name, rows, schema)
        return result or Result(data_version=hashing.rows_hash(rows), counts=Counts())

    project.store.publish(asset, shard, fingerprint=hashing.rows_hash(rows), inputs={}, make=make)


def publish_set(project, rows, test):
    """A set that these rows are in, and the test rows."""
    for shard in Snapshot(project).sources:
        publish(project, "raw_dataset", files.RAW_FILE, rows if shard == "train-part-00" else [], schemas.RAW, shard)
    publish(project, "validated_synthetic_set", files.EXAMPLES_FILE, rows, schemas.EXAMPLE)
    publish(project, "eval_dataset", files.RAW_FILE, test, schemas.RAW)
