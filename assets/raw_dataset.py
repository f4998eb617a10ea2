"""Rows in: each shard judged row by row, and the held-out rows that nothing trains on."""

import dagster as dg

from distill_dagster.assets.condition import rerun_when_inputs_change
from distill_dagster.assets.partitions import raw_shards, shards, test_files
from distill_dagster.assets.publishing import publish
from distill_dagster.assets.views.rows import rows_view
from distill_dagster.lineage import makers as steps
from distill_dagster.resources.project import ProjectResource


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
    return publish(context, value, lambda out, _: steps.make_raw_dataset(value, shard, out), rows_view)


@dg.asset(deps=[test_files], group_name="source", kinds={"parquet"}, automation_condition=rerun_when_inputs_change())
def eval_dataset(context: dg.AssetExecutionContext, project: ProjectResource) -> dg.MaterializeResult:
    """The held-out test rows, judged as the shards are. No model is trained on them."""
    value = project.value
    return publish(context, value, lambda out, _: steps.make_eval_dataset(value, out), rows_view)
