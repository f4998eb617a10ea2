"""How every asset publishes: nothing to do where the inputs are unchanged, else make it and say what came out.

The skeleton of all assets: fingerprint the inputs, return at once where the store holds an artefact of that
fingerprint, otherwise let the maker fill a folder that is published whole. What a user got wrong becomes a
`dagster.Failure` with the same words and no retry.
"""

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import dagster as dg

from distill_dagster.errors import UserError
from distill_dagster.lineage.stages import Project, fingerprint, inputs_of
from distill_dagster.store.manifest import Manifest, Produced
from distill_dagster.store.result import Result

Metadata = dict[str, Any]


@contextlib.contextmanager
def explained() -> Iterator[None]:
    """Turn a user's error into a Dagster failure with the same message, and no retry."""
    try:
        yield
    except UserError as e:
        raise dg.Failure(str(e), allow_retries=False) from e


def publish(
    context: dg.AssetExecutionContext,
    project: Project,
    make: Callable[[Path, Path], Produced | Result],
    describe: Callable[[Manifest], Metadata],
) -> dg.MaterializeResult:
    """Publish the asset that is being materialized; `describe` says what people read about it in the UI.

    Where the inputs are unchanged it is made again only if it is not complete.
    """
    name = context.asset_key.to_user_string()
    shard = context.partition_key if context.has_partition_key else None
    with explained():
        inputs = inputs_of(project, name, shard)
        wanted = fingerprint(inputs)
        before = project.store.find(name, shard)
        fresh = before is not None and before.is_made_from(wanted)
        if before and fresh:
            context.log.info(f"nothing to do: {before.folder} was made from these inputs on {before.created_at}")
        manifest = project.store.publish(name, shard, fingerprint=wanted, inputs=inputs, make=make)
        return dg.MaterializeResult(
            data_version=dg.DataVersion(manifest.data_version),
            metadata={
                "skipped": fresh,
                "counts": counts_table(manifest.counts),
                **describe(manifest),
                "dagster/uri": str(manifest.folder),
                "made_from": dg.MetadataValue.json(manifest.inputs),
                "made_at": manifest.created_at,
            },
        )


def counts_table(counts: dict[str, int]) -> dg.MetadataValue:
    """Counts as a small table, which reads better than a JSON blob in the UI."""
    return dg.MetadataValue.table([dg.TableRecord({"count of": k, "rows": v}) for k, v in counts.items()] or [_NOTHING])


_NOTHING = dg.TableRecord({"count of": "nothing", "rows": 0})
