"""The process of a step that lets the teacher answer one shard; tests end it.

python -m testing.cluster_step distill.yaml train-part-00
"""

import sys
from pathlib import Path

import dagster as dg

from distill_dagster.config.reading import load_config
from distill_dagster.definitions import build_lineage


def answer(path: Path, shard: str) -> bool:
    """Make the shard's answers in a run of their own; whether it succeeded."""
    job = build_lineage(load_config(path)).resolve_implicit_global_asset_job_def()
    with dg.DagsterInstance.ephemeral() as instance:
        instance.add_dynamic_partitions("shards", [shard])
        made = {"asset_selection": [dg.AssetKey("teacher_outputs")], "partition_key": shard, "raise_on_error": False}
        return job.execute_in_process(instance=instance, **made).success


if __name__ == "__main__":
    sys.exit(not answer(Path(sys.argv[1]), sys.argv[2]))
