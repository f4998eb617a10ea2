"""What the teacher thought of every token that it wrote: a second pass over a shard's answers, where it is asked for.

This module is part of the code location only where `teacher.logits` is set. The teacher has to be open weights:
an endpoint keeps its distributions to itself.
"""

from pathlib import Path

import dagster as dg

from distill_dagster.assets.condition import rerun_when_inputs_change
from distill_dagster.assets.partitions import shards
from distill_dagster.assets.publishing import publish
from distill_dagster.assets.raw_dataset import raw_dataset
from distill_dagster.assets.teacher import teacher_model, teacher_outputs
from distill_dagster.assets.views.logits import logits_view
from distill_dagster.logits.specs import CaptureSpec
from distill_dagster.models.ref import read_ref
from distill_dagster.resources.compute import Compute
from distill_dagster.resources.project import ProjectResource
from distill_dagster.store import files
from distill_dagster.store.manifest import Produced


@dg.asset(
    partitions_def=shards,
    deps=[raw_dataset, teacher_outputs, teacher_model],
    group_name="teacher",
    kinds={"huggingface", "parquet"},
    pool="gpu_teacher",
    automation_condition=rerun_when_inputs_change(),
)
def teacher_logits(
    context: dg.AssetExecutionContext, project: ProjectResource, teacher_compute: Compute
) -> dg.MaterializeResult:
    """The k likeliest tokens at each token of one shard's answers, packed, beside the text and keyed by row id."""
    value, shard = project.value, context.partition_key

    def make(out: Path, _: Path) -> Produced:
        assert value.config.teacher.logits is not None, "the asset is there only where teacher.logits is set"
        request = CaptureSpec(
            model=read_ref(value.store.get("teacher_model").folder),
            logits=value.config.teacher.logits,
            rows=str(value.store.get("raw_dataset", shard).file(files.RAW_FILE)),
            answers=str(value.store.get("teacher_outputs", shard).file(files.TEACHER_FILE)),
            out=str(out),
        )
        return teacher_compute.run(context, "capture_logits", request)

    return publish(context, value, make, logits_view)
