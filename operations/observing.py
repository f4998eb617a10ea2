"""Observes the source files: adds partitions for new ones, and reports changed ones to Dagster.

A touched file keeps its version, and nothing is reported. A file that cannot be read has a partition and keeps the
version that was last seen; a warning names it. The artefacts of a removed shard are deleted once no published set is
made from them; the teacher's replies to its rows stay among the responses.

Dagster cannot forget that a partition was made. If a file comes back after its artefacts were deleted, their versions
are reported as `gone`, and that of the file with the time of its return, so that both count as changed:

    raw_shards[shard]   5b3c…   gone   5b3c…+2026-03-01T08:00:00+00:00
    raw_dataset[shard]  91ab…   gone   91ab…                            made again, equal to what was deleted

A look can be limited, because Dagster gives up on a sensor's tick after a minute: it reports as many changes as it has
time for, and the next look goes on. Nothing records where a look ended, since what is left follows from what Dagster
knows: a shard is left if its reported version is not that of its file. So a process that is killed in a look loses
nothing. All partitions are added in one transaction: no asset that reads every shard is made from the first ones.

The list of shards is reported with the store that it belongs to. A project that finds the list of another store under
its own name stops before it removes that project's partitions.
"""

import contextlib
import logging
import math
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import dagster as dg
from filelock import FileLock, Timeout

from distill_dagster.assets.naming import Names
from distill_dagster.config.bucket import is_bucket
from distill_dagster.errors import ConfigError
from distill_dagster.lineage.removal import delete_removed
from distill_dagster.lineage.snapshot import Snapshot
from distill_dagster.lineage.stages import RAW_SHARDS, SHARD_LIST, TEST_FILES
from distill_dagster.operations.dagster_internals import report_materializations
from distill_dagster.operations.returning import GONE, VERSION_TAG, report_gone, reported
from distill_dagster.operations.settled import batched
from distill_dagster.store.hashing import canonical_json, sha256

STORE = "store"
LOCK = ".observing.lock"
A_WRITE = 100  # versions that are reported in one write
LOG = logging.getLogger("dagster.observe_sources")  # below the logger that Dagster's processes print


@dataclass(frozen=True, slots=True)
class FoundChanges:
    """What a look reported: the shards and observed assets that changed, and how many files the next look takes up."""

    changed: list[str]
    left: int = 0


def observe(instance: dg.DagsterInstance, look: Snapshot, warn: Callable[[str], object] = LOG.warning) -> list[str]:
    """Bring partitions and data versions up to date with the files; returns what changed: shards and observed assets.

    A file that cannot be read is skipped, and `warn` gets its error. If another process is looking, this one waits.

    Raises:
        DataError: a pattern of the config matches no file.
        ConfigError: another project uses the same names in this instance.
    """
    with _one_look_at_a_time(look, wait=-1):
        return _Observation(instance, look, Names.of(look.config)).report(warn).changed


def observe_within(
    instance: dg.DagsterInstance, look: Snapshot, seconds: float, warn: Callable[[str], object] = LOG.warning
) -> FoundChanges | None:
    """The same for about `seconds` of reading files, and as long of reporting them; None if another process is looking.

    Listing the files, and asking Dagster what it knows of them, come on top.
    """
    try:
        with _one_look_at_a_time(look, wait=0):
            return _Observation(instance, look, Names.of(look.config), seconds).report(warn)
    except Timeout:
        return None


@contextlib.contextmanager
def _one_look_at_a_time(look: Snapshot, wait: float) -> Iterator[None]:
    """Hold a lock in the store, so that two processes do not report the same change; none if the store is not there."""
    store = look.project.store.root
    lock = FileLock(store / LOCK, timeout=wait)
    if os.access(store / LOCK if (store / LOCK).exists() else store, os.W_OK):  # else this user only reads it
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


@dataclass(frozen=True, slots=True)
class _Observation:
    """One look at the files, reported to one instance under the project's names."""

    instance: dg.DagsterInstance
    look: Snapshot
    names: Names
    seconds: float = math.inf

    def report(self, warn: Callable[[str], object]) -> FoundChanges:
        unreadable = self.look.read_sources(self.seconds)
        for error in unreadable.values():
            warn(f"a source file is skipped: {error}")
        self._require_own_names()
        until = time.monotonic() + self.seconds
        partitions = self._update_partitions(until)
        delete_removed(self.look, until)
        readable = [key for key in self.look.shards if key not in unreadable]
        changed, left = self._report_shards([key for key in readable if key in partitions], until)
        if partitions >= self.look.sources.keys():
            listed = sorted((key, source.split) for key, source in self.look.sources.items())
            if self._report(SHARD_LIST, sha256(canonical_json(listed)), {STORE: self._store}):
                changed.append(SHARD_LIST)
        tests_are_known = all(self.look.known_version(source.key) for source in self.look.test_sources)
        if tests_are_known and self._report(TEST_FILES, sha256(canonical_json(self.look.test_versions()))):
            changed.append(TEST_FILES)
        return FoundChanges(changed, left + len(self.look.sources.keys() - partitions))

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

    def _update_partitions(self, until: float) -> set[str]:
        """Add the partitions of new shards, remove those of shards that have no file; returns those that there are.

        The new ones are added together, and once what was deleted of those that come back is reported as gone: ticks
        ignore partitions that do not exist.
        """
        name = self.names.own("shards")
        known, present = set(self.instance.get_dynamic_partitions(name)), self.look.sources.keys()
        new = sorted(present - known)
        if new and report_gone(self.instance, self.look, self.names, new, until):
            self.instance.add_dynamic_partitions(name, new)
            known |= set(new)
        for removed in sorted(known - present):
            self.instance.delete_dynamic_partition(name, removed)
            if time.monotonic() > until:
                break
        return known & present

    def _report_shards(self, shards: Sequence[str], until: float) -> tuple[list[str], int]:
        """Report the shards whose version changed; returns their keys, and how many are left."""
        known, changed = reported(self.instance, self.names, RAW_SHARDS), list[str]()
        moved = [
            shard
            for shard in shards
            if (version := self.look.known_version(shard)) and known.get(shard, "").partition("+")[0] != version
        ]
        for chosen in batched(moved, A_WRITE):
            if changed and time.monotonic() > until:
                break
            events = [self._event(shard, known.get(shard, "")) for shard in chosen]
            report_materializations(self.instance, events)
            changed += chosen
        unread = sum(self.look.known_version(shard) is None for shard in shards)
        return changed, len(moved) - len(changed) + unread

    def _event(self, shard: str, before: str) -> dg.AssetMaterialization:
        source = self.look.source(shard)
        returned = f"+{datetime.now(UTC).isoformat()}" if before == GONE else ""
        return dg.AssetMaterialization(
            self.names.key(RAW_SHARDS),
            partition=shard,
            tags={VERSION_TAG: self.look.source_version(shard) + returned},
            metadata={"source": dg.MetadataValue.path(source.url), "split": source.split},
        )

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
