"""The shards as Dagster partitions, and the source files as an asset that the world outside changes.

One source file is one shard is one partition. A sensor looks at the files, adds a partition for a new one, drops
the partition of a removed one, and reports a materialization of `raw_shards` for each whose bytes moved: the
content hash is the data version, so a touched file is no change.
"""

import dagster as dg

from distill_dagster.lineage import Project

SHARDS_NAME = "shards"
VERSION_TAG = "dagster/data_version"
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
    versions = project.source_versions(list(sources.values()))
    reported = instance.event_log_storage.get_latest_tags_by_partition(
        raw_shards.key, dg.DagsterEventType.ASSET_MATERIALIZATION, [VERSION_TAG]
    )  # one query, where asking shard by shard takes seconds for a thousand
    changed = [key for key in sorted(sources) if reported.get(key, {}).get(VERSION_TAG) != versions[key]]
    for key in changed:
        source = sources[key]
        instance.report_runless_asset_event(
            dg.AssetMaterialization(
                raw_shards.key,
                partition=key,
                tags={VERSION_TAG: versions[key]},
                metadata={"source": dg.MetadataValue.path(source.url), "split": source.split},
            )
        )
    return changed
