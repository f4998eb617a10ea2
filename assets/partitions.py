"""The shards as Dagster partitions, and the source files as an asset that the world outside changes.

One source file is one shard is one partition. A sensor looks at the files, adds a partition for a new one, drops
the partition of a removed one, and reports a materialization of `raw_shards` for each whose bytes moved: the
content hash is the data version, so a touched file is no change.
"""

import dagster as dg

from distill_dagster.lineage import Project
from distill_dagster.sources.discovery import content_hash

SHARDS_NAME = "shards"
shards = dg.DynamicPartitionsDefinition(name=SHARDS_NAME)

raw_shards = dg.AssetSpec(
    "raw_shards",
    description="Source files, training and validation: one file is one shard. Made outside; observed by content hash.",
    partitions_def=shards,
    group_name="source",
    kinds={"file"},
)


def observe(instance: dg.DagsterInstance, project: Project) -> list[str]:
    """Bring partitions and data versions up to date with the files; returns the shards that changed.

    Raises:
        DataError: a pattern of the config matches no file.
    """
    sources = project.sources()
    known = set(instance.get_dynamic_partitions(SHARDS_NAME))
    if new := sorted(sources.keys() - known):
        instance.add_dynamic_partitions(SHARDS_NAME, new)
    for gone in sorted(known - sources.keys()):
        instance.delete_dynamic_partition(SHARDS_NAME, gone)
    changed = []
    for key, source in sorted(sources.items()):
        version = content_hash(source)
        if _last_version(instance, key) != version:
            changed.append(key)
            instance.report_runless_asset_event(
                dg.AssetMaterialization(
                    raw_shards.key,
                    partition=key,
                    tags={"dagster/data_version": version},
                    metadata={"source": dg.MetadataValue.path(source.url), "split": source.split},
                )
            )
    return changed


def _last_version(instance: dg.DagsterInstance, key: str) -> str | None:
    """The content hash that was last reported for a shard."""
    records = instance.fetch_materializations(
        dg.AssetRecordsFilter(asset_key=raw_shards.key, asset_partitions=[key]), limit=1
    ).records
    event = records[0].asset_materialization if records else None
    return (event.tags or {}).get("dagster/data_version") if event else None
