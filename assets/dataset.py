"""All shards become one set: filtered, deduplicated, decontaminated, balanced."""

from pathlib import Path

from distill_dagster.assets.stage_asset import stage_asset
from distill_dagster.assets.views.dataset import set_view
from distill_dagster.lineage.guards import require_current_answers
from distill_dagster.lineage.upstream import Upstream
from distill_dagster.quality.specs import SetSpec
from distill_dagster.store import files


@stage_asset(view=set_view, kinds={"parquet"})
def validated_synthetic_set(upstream: Upstream, out: Path, work: Path) -> SetSpec:
    """The union over every shard that has a source file; it is not made while a shard is missing."""
    require_current_answers(upstream)
    return SetSpec(
        raw=upstream.files("raw_dataset", files.RAW_FILE),
        teacher=upstream.files("teacher_outputs", files.TEACHER_FILE),
        test=upstream.file("eval_dataset", files.RAW_FILE),
        quality=upstream.config.quality,
        learn=upstream.config.student.learn,
        out=str(out),
    )
