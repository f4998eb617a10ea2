"""The source files as external assets, which change outside of Dagster.

Each source file is one shard, and each shard one partition. operations/observing.py hashes the files and reports
changes:

    raw_shards[shard]   the bytes of a training or validation file: the content hash is the data version
    shard_list          the list of shards: an asset that reads all of them is made again when one is removed
    test_files          the bytes of the held-out files
"""

import dagster as dg

from distill_dagster.assets.naming import Names
from distill_dagster.config import DistillConfig
from distill_dagster.lineage.stages import OBSERVED


def observed_assets(config: DistillConfig) -> list[dg.AssetSpec]:
    """An external asset for everything from which the lineage starts."""
    names = Names.of(config)
    return [
        dg.AssetSpec(
            names.key(observed.name),
            description=f"{observed.says} Changes outside of Dagster; observed by content hash.",
            partitions_def=names.shards if observed.sharded else None,
            group_name=names.group("source"),
            kinds={"file"},
            owners=config.owners,
        )
        for observed in OBSERVED
    ]
