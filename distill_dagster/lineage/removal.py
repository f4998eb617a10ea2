"""Deleting the artefacts of shards whose source file is gone."""

import math
import time

from distill_dagster.lineage.snapshot import Snapshot
from distill_dagster.lineage.stages import sharded_names
from distill_dagster.store.manifest import title_of


def delete_removed(look: Snapshot, until: float = math.inf) -> list[str]:
    """Delete the artefacts of shards without a source file, unless the published set is made from them.

    Returns their titles. The teacher's replies to their rows are kept, so a file that comes back costs no request. What
    is left at the time `until` (by `time.monotonic`) is deleted by the next call.
    """
    store, published = look.project.store, look.find("validated_synthetic_set")
    wanted = {*look.sources, *(published.inputs["raw_dataset"] if published else ())}
    deleted = []
    for name in sharded_names():
        for shard in store.shards(name):
            if time.monotonic() > until:
                return deleted
            if shard not in wanted and store.remove(name, shard):
                look.forget(name, shard)
                deleted.append(title_of(name, shard))
    return deleted
