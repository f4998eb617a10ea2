"""The shards as Dagster partitions, and the source files as assets that the world outside changes.

One source file is one shard is one partition. A sensor looks at the files, adds a partition for a new one, drops
the partition of a removed one, and reports what moved:

    raw_shards[shard]   the bytes of a training or validation file: the content hash is the data version
    shard_list          which shards there are: what reads all of them follows when one is removed
    test_files          the bytes of the held-out files

A touched file has the version that it had, and nothing is reported.
"""

from collections.abc import Mapping

import dagster as dg

from distill_dagster.lineage import Project
from distill_dagster.records import canonical_json, sha256
from distill_dagster.sources.discovery import SourceFile

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


def observe(instance: dg.DagsterInstance, project: Project) -> list[str]:
    """Bring partitions and data versions up to date with the files; returns what changed: shards, and names of assets.

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
    held_out = project.source_versions(project.test_sources())
    changed = _report_shards(instance, sources, versions)
    whole = [(shard_list, sorted((key, source.split) for key, source in sources.items())), (test_files, held_out)]
    moved = [spec for spec, content in whole if _report(instance, spec, sha256(canonical_json(content)))]
    return changed + [spec.key.to_user_string() for spec in moved]


def _report_shards(
    instance: dg.DagsterInstance, sources: Mapping[str, SourceFile], versions: Mapping[str, str]
) -> list[str]:
    """Report the shards whose version moved; returns their keys."""
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


def _report(instance: dg.DagsterInstance, spec: dg.AssetSpec, version: str) -> bool:
    """Report the version of an asset without partitions; False where it is known already."""
    last = instance.get_latest_materialization_event(spec.key)
    event = last.asset_materialization if last else None
    if event and (event.tags or {}).get(VERSION_TAG) == version:
        return False
    instance.report_runless_asset_event(dg.AssetMaterialization(spec.key, tags={VERSION_TAG: version}))
    return True
