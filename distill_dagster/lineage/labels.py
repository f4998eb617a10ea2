"""The label set that the benchmarks parse against, and where it comes from."""

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

from distill_dagster.config import DistillConfig, QualityConfig
from distill_dagster.lineage.snapshot import Snapshot
from distill_dagster.quality.labels import labels_of as labels_of_rows
from distill_dagster.store import files, parquet
from distill_dagster.tasks import get_task


def labels_come_from(config: DistillConfig) -> Sequence[str]:
    """The artefact whose gold answers are the labels, if the task has such labels and the config names none."""
    return ("raw_dataset",) if get_task(config.task).labels_from_gold and not config.quality.labels else ()


def labels_of(look: Snapshot) -> list[str] | None:
    """The config's labels, else the gold labels of the source rows if the task uses those, else None.

    Raises:
        NotPublishedError: the labels are those of the source rows, and a shard of them is missing.
    """
    config = look.config
    if not labels_come_from(config):
        return config.quality.labels
    paths = tuple(manifest.file(files.RAW_FILE) for manifest in look.get_all("raw_dataset").values())
    found = _gold_labels(paths, config.task, config.quality.model_dump_json())
    return list(found) if found else None


@lru_cache(maxsize=4)  # the benchmarks ask in each look, and a published file never changes
def _gold_labels(paths: tuple[Path, ...], task: str, quality: str) -> tuple[str, ...] | None:
    rows = (row for path in paths for row in parquet.read_table(path, ["task", "split", "reference"]))
    found = labels_of_rows(task, QualityConfig.model_validate_json(quality), rows)
    return tuple(found) if found else None
