"""The shards as Dagster partitions, and the source files as assets that the world outside changes.

One source file is one shard is one partition. operations/observing.py looks at the files and reports what moved:

    raw_shards[shard]   the bytes of a training or validation file: the content hash is the data version
    shard_list          which shards there are: what reads all of them follows when one is removed
    test_files          the bytes of the held-out files
"""

import dagster as dg

SHARDS_NAME = "shards"
shards = dg.DynamicPartitionsDefinition(name=SHARDS_NAME)

raw_shards = dg.AssetSpec(
    "raw_shards",
    description="Source files, training and validation: one file is one shard. Made outside; observed by content hash.",
    partitions_def=shards,
    group_name="source",
    kinds={"file"},
)
shard_list = dg.AssetSpec(
    "shard_list",
    description="Which shards there are. Changes when a source file is added, renamed or removed.",
    group_name="source",
    kinds={"file"},
)
test_files = dg.AssetSpec(
    "test_files",
    description="Held-out files. Made outside; observed by content hash.",
    group_name="source",
    kinds={"file"},
)
OBSERVED = [raw_shards, shard_list, test_files]
