"""The check that no row has the id of another row in another shard.

`row_ids.sqlite` in the project's local folder holds the ids of the shards that were checked, by version. So a check
reads its own shard and looks up its ids, however many shards there are. Every version of a shard is checked before a
teacher answers it, and of two shards that share an id, the later check finds the id of the earlier one. What the file
lacks, for example on another machine, is added from the published tables.
"""

from distill_dagster.checks.base import Check, Finding, Inspection
from distill_dagster.lineage.snapshot import Snapshot
from distill_dagster.sources.judging.shared_ids import RowIds, SharedIds, ids_and_contents, open_row_ids
from distill_dagster.store import files

ROW_IDS = "row_ids.sqlite"
SHOWN = 3  # other shards that a description names


def _ids_differ(of: Inspection) -> Finding:
    """Ids that the shard's rows share with other rows of another shard that is published now."""
    assert of.shard is not None
    with open_row_ids(of.config.local_root / ROW_IDS) as ids:
        found = _shared(ids, of.look, of.asset, of.shard)
    count = sum(shared.count for shared in found)
    says = "; ".join(shared.text for shared in found[:SHOWN]) or "no id is that of another row in another shard"
    return Finding(not found, says, {"shared_ids": count})


def _shared(ids: RowIds, look: Snapshot, asset: str, shard: str) -> list[SharedIds]:
    known = ids.versions()
    for key in sorted({shard, *look.project.store.shards(asset)} - (known.keys() - {shard})):
        _refresh(ids, known, look, asset, key)
    while found := ids.shared(shard):
        outdated = [shared.other for shared in found if _refresh(ids, known, look, asset, shared.other)]
        if not outdated:
            break
    return found


def _refresh(ids: RowIds, known: dict[str, str], look: Snapshot, asset: str, shard: str) -> bool:
    """Let `ids` and `known` hold the published version of a shard, or none; False if they did before."""
    manifest = look.find(asset, shard) if shard in look.sources else None
    version = manifest.version if manifest else None
    if known.get(shard) == version:
        return False
    ids.forget(shard)
    known.pop(shard, None)
    if manifest:
        for row_ids, contents in ids_and_contents(manifest.file(files.RAW_FILE)):
            ids.add(shard, row_ids, contents, manifest.version)
        known[shard] = manifest.version
    return True


CHECKS = (
    Check(
        "ids_differ",
        "raw_dataset",
        "No row has the id of another row in another shard, so that every answer belongs to one row (E011).",
        _ids_differ,
        severity=lambda s: s.ids_differ,
    ),
)
