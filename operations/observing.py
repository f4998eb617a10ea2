"""Observes the source files: adds partitions for new ones, and reports changed ones to Dagster.

A touched file keeps its version, and nothing is reported. A file that cannot be read has a partition and keeps the
version that was last seen; a warning names it. The artefacts of a removed shard are deleted once no published set is
made from them; the teacher's replies to its rows stay among the responses.

Dagster cannot forget that a partition was made. If a file comes back after its artefacts were deleted, their versions
are reported as `gone`, and that of the file with the time of its return, so that both count as changed:

    raw_shards[shard]   5b3c…   gone   5b3c…+2026-03-01T08:00:00+00:00
    raw_dataset[shard]  91ab…   gone   91ab…                            made again, equal to what was deleted

The list of shards is reported with the store that it belongs to. A project that finds the list of another store under
its own name stops before it removes that project's partitions.
"""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import dagster as dg

from distill_dagster.assets.naming import Names
from distill_dagster.config.bucket import is_bucket
from distill_dagster.errors import ConfigError
from distill_dagster.lineage.removal import delete_removed
from distill_dagster.lineage.snapshot import Snapshot
from distill_dagster.lineage.stages import RAW_SHARDS, SHARD_LIST, TEST_FILES, sharded_names
from distill_dagster.store.hashing import canonical_json, sha256

VERSION_TAG = "dagster/data_version"
SCHEMA = "dagster/column_schema"
STORE = "store"
GONE = "gone"
LOG = logging.getLogger("dagster.observe_sources")  # below the logger that Dagster's processes print


def observe(instance: dg.DagsterInstance, look: Snapshot, warn: Callable[[str], object] = LOG.warning) -> list[str]:
    """Bring partitions and data versions up to date with the files; returns what changed: shards and observed assets.

    A file that cannot be read is skipped, and `warn` gets its error.

    Raises:
        DataError: a pattern of the config matches no file.
        ConfigError: another project uses the same names in this instance.
    """
    return _Observation(instance, look, Names.of(look.config)).report(warn)


@dataclass(frozen=True, slots=True)
class _Observation:
    """One look at the files, reported to one instance under the project's names."""

    instance: dg.DagsterInstance
    look: Snapshot
    names: Names

    def report(self, warn: Callable[[str], object]) -> list[str]:
        unreadable = self.look.read_sources()
        for error in unreadable.values():
            warn(f"a source file is skipped: {error}")
        self._require_own_names()
        self._update_partitions()
        delete_removed(self.look)
        changed = self._report_shards([key for key in self.look.shards if key not in unreadable])
        listed = sorted((key, source.split) for key, source in self.look.sources.items())
        if self._report(SHARD_LIST, sha256(canonical_json(listed)), {STORE: self._store}):
            changed.append(SHARD_LIST)
        tests_are_readable = not any(source.key in unreadable for source in self.look.test_sources)
        if tests_are_readable and self._report(TEST_FILES, sha256(canonical_json(self.look.test_versions()))):
            changed.append(TEST_FILES)
        return changed

    @property
    def _store(self) -> str:
        store = self.look.config.store
        return store if is_bucket(store) else str(Path(store).resolve())

    def _require_own_names(self) -> None:
        """Refuse to share names with another project, whose partitions this one would remove."""
        last = self.instance.get_latest_materialization_event(self.names.key(SHARD_LIST))
        metadata = last.asset_materialization.metadata if last and last.asset_materialization else {}
        other = metadata.get(STORE)
        if other is None or str(other.value) == self._store or not _may_exist(str(other.value)):
            return
        raise ConfigError(
            f"this Dagster instance holds another project under the same names: its store is {other.value}, this "
            f"project's is {self._store}; give one of the two a `key_prefix` of its own, or its own DAGSTER_HOME"
        )

    def _update_partitions(self) -> None:
        """Add the partitions of new shards, remove those of shards that have no file."""
        name = self.names.own("shards")
        known, present = set(self.instance.get_dynamic_partitions(name)), self.look.sources.keys()
        if new := sorted(present - known):
            self._report_gone(new)  # first: ticks ignore partitions that do not exist
            self.instance.add_dynamic_partitions(name, new)
        for removed in sorted(known - present):
            self.instance.delete_dynamic_partition(name, removed)

    def _report_gone(self, shards: Sequence[str]) -> None:
        """Report as gone what Dagster remembers of those shards whose artefacts are deleted, all or some of them."""
        made = sharded_names()
        remembered = {name: self._reported(name) for name in [RAW_SHARDS, *made]}
        for shard in shards:
            if any(shard in remembered[name] and not self.look.find(name, shard) for name in made):
                for key in (self.names.key(name) for name, versions in remembered.items() if shard in versions):
                    metadata = self._schema(key, shard)
                    event = dg.AssetMaterialization(key, partition=shard, tags={VERSION_TAG: GONE}, metadata=metadata)
                    self.instance.report_runless_asset_event(event)

    def _schema(self, key: dg.AssetKey, shard: str) -> dict[str, dg.MetadataValue]:
        """The columns of the last materialization, for the check that compares the next ones with them."""
        last = dg.AssetRecordsFilter(asset_key=key, asset_partitions=[shard])
        (record,) = self.instance.fetch_materializations(last, limit=1).records
        metadata = record.asset_materialization.metadata if record.asset_materialization else {}
        return {name: value for name, value in metadata.items() if name == SCHEMA}

    def _reported(self, name: str) -> dict[str, str]:
        """Shard -> the version of an asset that was last reported."""
        tags = self.instance.event_log_storage.get_latest_tags_by_partition(
            self.names.key(name), dg.DagsterEventType.ASSET_MATERIALIZATION, [VERSION_TAG]
        )  # one query: shard by shard, a thousand shards take seconds
        return {shard: values[VERSION_TAG] for shard, values in tags.items() if VERSION_TAG in values}

    def _report_shards(self, shards: Sequence[str]) -> list[str]:
        """Report the shards whose version changed; returns their keys."""
        reported, changed = self._reported(RAW_SHARDS), []
        for shard in shards:
            version, before = self.look.source_version(shard), reported.get(shard, "")
            if before.partition("+")[0] == version:
                continue
            changed.append(shard)
            source = self.look.source(shard)
            returned = f"+{datetime.now(UTC).isoformat()}" if before == GONE else ""
            self.instance.report_runless_asset_event(
                dg.AssetMaterialization(
                    self.names.key(RAW_SHARDS),
                    partition=shard,
                    tags={VERSION_TAG: version + returned},
                    metadata={"source": dg.MetadataValue.path(source.url), "split": source.split},
                )
            )
        return changed

    def _report(self, name: str, version: str, metadata: Mapping[str, str] | None = None) -> bool:
        """Report the version of an asset without partitions; False if Dagster knows it already."""
        key = self.names.key(name)
        last = self.instance.get_latest_materialization_event(key)
        event = last.asset_materialization if last else None
        is_known = event is not None and (event.tags or {}).get(VERSION_TAG) == version
        said = {key: str(value.value) for key, value in event.metadata.items()} if event else {}
        if is_known and all(said.get(key) == value for key, value in (metadata or {}).items()):
            return False
        self.instance.report_runless_asset_event(
            dg.AssetMaterialization(key, tags={VERSION_TAG: version}, metadata=metadata)
        )
        return not is_known


def _may_exist(store: str) -> bool:
    """Whether a store of another project may still be there; one in a bucket is not looked up."""
    return is_bucket(store) or Path(store).is_dir()
