"""What the student learns from: the union of all shards' answers, filtered, deduplicated, decontaminated, balanced."""

import dagster as dg

from distill_dagster.assets.condition import rerun_when_inputs_change
from distill_dagster.assets.partitions import shard_list
from distill_dagster.assets.publishing import publish
from distill_dagster.assets.raw_dataset import eval_dataset, raw_dataset
from distill_dagster.assets.teacher import teacher_outputs
from distill_dagster.assets.views.dataset import set_view
from distill_dagster.lineage import makers as steps
from distill_dagster.resources.project import ProjectResource


@dg.asset(
    deps=[shard_list, raw_dataset, teacher_outputs, eval_dataset],
    group_name="dataset",
    kinds={"parquet"},
    automation_condition=rerun_when_inputs_change(),
)
def validated_synthetic_set(context: dg.AssetExecutionContext, project: ProjectResource) -> dg.MaterializeResult:
    """The union over every shard that has a source file; it refuses to be made while a shard is missing."""
    value = project.value
    return publish(context, value, lambda out, _: steps.make_synthetic_set(value, out), set_view)
