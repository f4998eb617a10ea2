"""`distill-dagster export-data`: the published set of a project as a file for a trainer."""

from pathlib import Path

from distill_dagster.config import DistillConfig
from distill_dagster.lineage.freshness import is_fresh
from distill_dagster.lineage.project import Project
from distill_dagster.lineage.snapshot import Snapshot
from distill_dagster.quality.export import export_examples
from distill_dagster.quality.trainer_formats import ExportSplit, TrainerFormat
from distill_dagster.store import files

SET = "validated_synthetic_set"


def export_set(config: DistillConfig, out: Path, form: TrainerFormat, split: ExportSplit) -> tuple[int, str | None]:
    """Write the examples of a split into `out`; returns how many, and a warning if the set is stale.

    Raises:
        NotPublishedError: the project has no set yet.
        ConfigError: `out` exists, or has another ending than .jsonl and .parquet.
        DataError: the split has no example.
    """
    look = Snapshot(Project(config))
    count = export_examples(look.get(SET).file(files.EXAMPLES_FILE), out, form, split)
    stale = f"{SET} is stale: these are the examples of its last version; `distill-dagster run` makes the next one"
    return count, None if is_fresh(look, SET) else stale
