"""The source files as assets that the world outside changes.

One source file is one shard is one partition. operations/observing.py looks at the files and reports what moved:

    raw_shards[shard]   the bytes of a training or validation file: the content hash is the data version
    shard_list          which shards there are: what reads all of them follows when one is removed
    test_files          the bytes of the held-out files
"""

import dagster as dg

from distill_dagster.assets.naming import Names
from distill_dagster.config import DistillConfig
from distill_dagster.lineage.stages import OBSERVED


def observed_assets(config: DistillConfig) -> list[dg.AssetSpec]:
    """An asset for each thing that the lineage starts from."""
    names = Names.of(config)
    return [
        dg.AssetSpec(
            names.key(observed.name),
            description=f"{observed.says} Made outside; observed by content hash.",
            partitions_def=names.shards if observed.sharded else None,
            group_name=names.group("source"),
            kinds={"file"},
            owners=config.owners,
        )
        for observed in OBSERVED
    ]
