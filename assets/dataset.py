"""Joins all shards into one set: filtered, deduplicated, decontaminated, balanced."""

from pathlib import Path

from distill_dagster.assets.stage_asset import stage_asset
from distill_dagster.assets.views.dataset import set_view
from distill_dagster.lineage.guards import require_current_answers
from distill_dagster.lineage.upstream import Upstream
from distill_dagster.quality.specs import SetSpec
from distill_dagster.store import files


@stage_asset(view=set_view, kinds={"parquet"})
def validated_synthetic_set(upstream: Upstream, out: Path, work: Path) -> SetSpec:
    """The answers of all shards that may train, without duplicates and held-out rows. Waits for every shard."""
    require_current_answers(upstream)
    return SetSpec(
        raw=upstream.files("raw_dataset", files.RAW_FILE),
        teacher=upstream.files("teacher_outputs", files.TEACHER_FILE),
        test=upstream.file("eval_dataset", files.RAW_FILE),
        quality=upstream.config.quality,
        learn=upstream.config.student.learn,
        out=str(out),
        work=str(work),
    )
