"""Looking at the source files: partitions for new ones, and what moved, reported to Dagster.

A touched file has the version that it had, and nothing is reported; nor of a file that cannot be read, which has its
partition, keeps the version that was last seen, and is named in a warning. The artefacts of a removed shard are deleted
once no published set is made from them; what the teacher said of its rows stays among the responses.

Dagster cannot forget what was made of one partition. Where a file comes back whose artefacts are deleted, the version
of each is reported as `gone`, and that of the file with the time of its return, so that both count as changed:

    raw_shards[shard]   5b3c…   gone   5b3c…+2026-03-01T08:00:00+00:00
    raw_dataset[shard]  91ab…   gone   91ab…                            made again, equal to what was deleted
"""

import logging
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime

import dagster as dg

from distill_dagster.assets.partitions import SHARDS_NAME, raw_shards, shard_list, test_files
from distill_dagster.lineage.makers import sweep_removed
from distill_dagster.lineage.stages import STAGES, Project
from distill_dagster.sources.files.discovery import SourceFile
from distill_dagster.store.hashing import canonical_json, sha256

VERSION_TAG = "dagster/data_version"
SCHEMA = "dagster/column_schema"
GONE = "gone"
LOG = logging.getLogger("dagster.observe_sources")  # below the logger that Dagster's processes print


def observe(instance: dg.DagsterInstance, project: Project, warn: Callable[[str], object] = LOG.warning) -> list[str]:
    """Bring partitions and data versions up to date with the files; returns what changed: shards, and names of assets.

    A file that cannot be read is passed over, and `warn` is told.

    Raises:
        DataError: a pattern of the config matches no file.
    """
    sources = project.sources()
    versions, unreadable = project.readable_versions(list(sources.values()))
    held_out, unreadable_test = project.readable_versions(project.test_sources())
    for error in [*unreadable.values(), *unreadable_test.values()]:
        warn(f"a source file is passed over: {error}")
    known = set(instance.get_dynamic_partitions(SHARDS_NAME))
    if new := sorted(sources.keys() - known):
        _report_gone(instance, project, new)  # first: of a partition that is not there, no tick takes notice
        instance.add_dynamic_partitions(SHARDS_NAME, new)
    for gone in sorted(known - sources.keys()):
        instance.delete_dynamic_partition(SHARDS_NAME, gone)
    sweep_removed(project)
    changed = _report_shards(instance, sources, versions)
    listed = sorted((key, source.split) for key, source in sources.items())
    whole = [(shard_list, listed), *([] if unreadable_test else [(test_files, held_out)])]
    moved = [spec for spec, content in whole if _report(instance, spec, sha256(canonical_json(content)))]
    return changed + [spec.key.to_user_string() for spec in moved]


def _report_gone(instance: dg.DagsterInstance, project: Project, shards: Sequence[str]) -> None:
    """Report as gone what Dagster remembers of those shards whose artefacts are deleted in part or in whole."""
    sharded = [stage.name for stage in STAGES.values() if stage.sharded]
    remembered = {name: _reported(instance, dg.AssetKey(name)) for name in [raw_shards.key.to_user_string(), *sharded]}
    for shard in shards:
        if any(shard in remembered[name] and not project.store.find(name, shard) for name in sharded):
            for key in (dg.AssetKey(name) for name, versions in remembered.items() if shard in versions):
                metadata = _schema(instance, key, shard)
                event = dg.AssetMaterialization(key, partition=shard, tags={VERSION_TAG: GONE}, metadata=metadata)
                instance.report_runless_asset_event(event)


def _schema(instance: dg.DagsterInstance, key: dg.AssetKey, shard: str) -> dict[str, dg.MetadataValue]:
    """The columns of what was made last, for the check that compares them with those of the materialization before."""
    last = dg.AssetRecordsFilter(asset_key=key, asset_partitions=[shard])
    (record,) = instance.fetch_materializations(last, limit=1).records
    metadata = record.asset_materialization.metadata if record.asset_materialization else {}
    return {name: value for name, value in metadata.items() if name == SCHEMA}


def _reported(instance: dg.DagsterInstance, asset: dg.AssetKey) -> dict[str, str]:
    """Shard -> the version that was last reported of it."""
    tags = instance.event_log_storage.get_latest_tags_by_partition(
        asset, dg.DagsterEventType.ASSET_MATERIALIZATION, [VERSION_TAG]
    )  # one query, where asking shard by shard takes seconds for a thousand
    return {shard: values[VERSION_TAG] for shard, values in tags.items() if VERSION_TAG in values}


def _report_shards(
    instance: dg.DagsterInstance, sources: Mapping[str, SourceFile], versions: Mapping[str, str]
) -> list[str]:
    """Report the shards whose version moved; returns their keys."""
    reported = _reported(instance, raw_shards.key)
    changed = [key for key in sorted(versions) if reported.get(key, "").partition("+")[0] != versions[key]]
    for key in changed:
        source = sources[key]
        returned = f"+{datetime.now(UTC).isoformat()}" if reported.get(key) == GONE else ""
        instance.report_runless_asset_event(
            dg.AssetMaterialization(
                raw_shards.key,
                partition=key,
                tags={VERSION_TAG: versions[key] + returned},
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
