"""Rows in: each shard judged row by row, and the held-out rows that nothing trains on."""

import dagster as dg

from distill_dagster.assets.condition import rerun_when_inputs_change
from distill_dagster.assets.partitions import raw_shards, shards, test_files
from distill_dagster.assets.publishing import Metadata, publish
from distill_dagster.assets.views.tables import preview_rows, schema_of, table_preview
from distill_dagster.lineage import makers as steps
from distill_dagster.resources.project import ProjectResource
from distill_dagster.store import files, schemas
from distill_dagster.store.manifest import Manifest


def _describe(manifest: Manifest) -> Metadata:
    rejects = preview_rows(manifest.file(files.REJECTS_FILE), ["line", "code", "message", "snippet"], limit=5)
    counts = manifest.counts
    return {
        "dagster/row_count": counts["rows"],
        "dagster/column_schema": schema_of(schemas.RAW),
        "valid_share": counts["rows"] / max(1, counts["lines"]),
        "with_reference": manifest.facts["with_reference"],
        "rows_by_task": dg.MetadataValue.json(manifest.facts["tasks"]),
        "preview": table_preview(manifest.file(files.RAW_FILE), ["row_id", "task", "messages", "reference"]),
        **({"rejected_rows": rejects} if rejects else {}),
    }


@dg.asset(
    partitions_def=shards,
    deps=[raw_shards],
    group_name="source",
    kinds={"parquet"},
    automation_condition=rerun_when_inputs_change(),
)
def raw_dataset(context: dg.AssetExecutionContext, project: ProjectResource) -> dg.MaterializeResult:
    """Canonical rows of one shard, and a table of the rows that were refused, each with line and reason."""
    value, shard = project.value, context.partition_key
    return publish(context, value, lambda out, _: steps.make_raw_dataset(value, shard, out), _describe)


@dg.asset(deps=[test_files], group_name="source", kinds={"parquet"}, automation_condition=rerun_when_inputs_change())
def eval_dataset(context: dg.AssetExecutionContext, project: ProjectResource) -> dg.MaterializeResult:
    """The held-out test rows, judged as the shards are. No model is trained on them."""
    value = project.value
    return publish(context, value, lambda out, _: steps.make_eval_dataset(value, out), _describe)
