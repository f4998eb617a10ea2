"""interim"""

from pathlib import Path

import pyarrow as pa

from distill_dagster.quality import synthetic_set
from distill_dagster.quality.examples.rows import RAW, TEACHER
from distill_dagster.quality.specs import SetSpec
from distill_dagster.store import files, hashing, parquet
from distill_dagster.store.manifest import Produced


def build_set(spec: SetSpec, device: str) -> Produced:
    """Build."""

    def tables(paths: list[str], columns: list[str]) -> pa.Table:
        return pa.concat_tables(parquet.load_table(Path(path), columns) for path in paths)

    answers = tables(spec.answers, [*TEACHER.names, "chosen"])
    built = synthetic_set.build_set(
        raw=tables(spec.rows, RAW.names),
        teacher=answers.filter(answers.column("chosen")),
        test=parquet.read_table(Path(spec.test)),
        quality=spec.quality,
        learn=spec.learn,
    )
    parquet.save_table(Path(spec.out) / files.EXAMPLES_FILE, built.table)
    parquet.save_table(Path(spec.out) / files.REJECTS_FILE, built.rejected)
    facts = {**built.facts, "shards": len(spec.rows)}
    return Produced(hashing.rows_hash(parquet.rows_of(built.table)), built.counts, facts)
