"""Shards whose source file comes back: what was deleted of them is reported as gone, so the next version counts."""

import time
from collections.abc import Sequence

import dagster as dg

from distill_dagster.assets.naming import Names
from distill_dagster.lineage.snapshot import Snapshot
from distill_dagster.lineage.stages import RAW_SHARDS, sharded_names
from distill_dagster.operations.dagster_internals import report_materializations

VERSION_TAG = "dagster/data_version"
SCHEMA = "dagster/column_schema"
GONE = "gone"


def report_gone(
    instance: dg.DagsterInstance, look: Snapshot, names: Names, shards: Sequence[str], until: float
) -> bool:
    """Report as gone what Dagster remembers of those shards whose artefacts are deleted, all or some of them.

    False if the time was over before all were reported; the next call reports the others.
    """
    made = sharded_names()
    remembered = {name: reported(instance, names, name) for name in [RAW_SHARDS, *made]}
    swept = [
        shard
        for shard in shards
        if any(versions.get(shard, GONE) != GONE for versions in remembered.values())
        and any(shard in remembered[name] and not look.find(name, shard) for name in made)
    ]
    for shard in swept:
        for name in [name for name, versions in remembered.items() if versions.get(shard, GONE) != GONE]:
            key = names.key(name)
            metadata = _schema(instance, key, shard)
            event = dg.AssetMaterialization(key, partition=shard, tags={VERSION_TAG: GONE}, metadata=metadata)
            report_materializations(instance, [event])
        if time.monotonic() > until and shard != swept[-1]:
            return False
    return True


def _schema(instance: dg.DagsterInstance, key: dg.AssetKey, shard: str) -> dict[str, dg.MetadataValue]:
    """The columns of the last materialization, for the check that compares the next ones with them."""
    last = dg.AssetRecordsFilter(asset_key=key, asset_partitions=[shard])
    (record,) = instance.fetch_materializations(last, limit=1).records
    metadata = record.asset_materialization.metadata if record.asset_materialization else {}
    return {name: value for name, value in metadata.items() if name == SCHEMA}


def reported(instance: dg.DagsterInstance, names: Names, name: str) -> dict[str, str]:
    """Shard -> the version of an asset that was last reported."""
    tags = instance.event_log_storage.get_latest_tags_by_partition(
        names.key(name), dg.DagsterEventType.ASSET_MATERIALIZATION, [VERSION_TAG]
    )  # one query: shard by shard, a thousand shards take seconds
    return {shard: values[VERSION_TAG] for shard, values in tags.items() if VERSION_TAG in values}
