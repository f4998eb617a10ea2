"""What the student learns from: the union of all shards' answers, filtered, deduplicated, decontaminated, balanced."""

import dagster as dg

from distill_dagster.assets.condition import rerun_when_inputs_change
from distill_dagster.assets.partitions import shard_list
from distill_dagster.assets.publishing import Metadata, publish
from distill_dagster.assets.raw_dataset import eval_dataset, raw_dataset
from distill_dagster.assets.teacher import teacher_outputs
from distill_dagster.assets.views.quality import quality_metadata
from distill_dagster.assets.views.tables import preview_rows, schema_of, table_preview
from distill_dagster.lineage import makers as steps
from distill_dagster.resources.project import ProjectResource
from distill_dagster.store import files, schemas
from distill_dagster.store.manifest import Manifest


def _describe(manifest: Manifest) -> Metadata:
    rejects = preview_rows(manifest.file(files.REJECTS_FILE), ["row_id", "code", "message", "snippet"])
    return {
        "dagster/row_count": manifest.counts["examples"],
        "dagster/column_schema": schema_of(schemas.EXAMPLE),
        "shards": manifest.facts["shards"],
        "acceptance": float(manifest.facts["acceptance"]),
        **quality_metadata(manifest.facts),
        "facts": dg.MetadataValue.json(manifest.facts),
        "preview": table_preview(manifest.file(files.EXAMPLES_FILE), ["row_id", "task", "messages", "answer", "flags"]),
        **({"rejected_rows": rejects} if rejects else {}),
    }


@dg.asset(
    deps=[shard_list, raw_dataset, teacher_outputs, eval_dataset],
    group_name="dataset",
    kinds={"parquet"},
    automation_condition=rerun_when_inputs_change(),
)
def validated_synthetic_set(context: dg.AssetExecutionContext, project: ProjectResource) -> dg.MaterializeResult:
    """The union over every shard that has a source file; it refuses to be made while a shard is missing."""
    value = project.value
    return publish(context, value, lambda out, _: steps.make_synthetic_set(value, out), _describe)
