"""The teacher's distribution at every token that it wrote: a second pass over a shard's answers.

The asset is part of a project only if `teacher.logits` is set. It needs open weights: an endpoint does not give its
distributions.
"""

from pathlib import Path

from distill_dagster.assets.stage_asset import stage_asset
from distill_dagster.assets.views.logits import logits_view
from distill_dagster.lineage.upstream import Upstream
from distill_dagster.logits.specs import CaptureSpec
from distill_dagster.models.ref import read_ref
from distill_dagster.store import files


@stage_asset(view=logits_view, kinds={"huggingface", "parquet"})
def teacher_logits(upstream: Upstream, out: Path, work: Path) -> CaptureSpec:
    """The k likeliest tokens at each token of one shard's answers, packed, beside the text and keyed by row id."""
    logits = upstream.config.teacher.logits
    assert logits is not None, "the stage is wanted only if teacher.logits is set"
    return CaptureSpec(
        model=read_ref(upstream.artefact("teacher_model").folder),
        logits=logits,
        rows=upstream.file("raw_dataset", files.RAW_FILE),
        answers=upstream.file("teacher_outputs", files.TEACHER_FILE),
        out=str(out),
    )
