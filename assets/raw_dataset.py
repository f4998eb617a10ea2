"""Rows in: each shard judged row by row, and the held-out rows that nothing trains on."""

from pathlib import Path

from distill_dagster.assets.stage_asset import stage_asset
from distill_dagster.assets.views.rows import rows_view
from distill_dagster.lineage.upstream import Upstream
from distill_dagster.sources.files.discovery import SourceFile
from distill_dagster.sources.specs import ReadSpec


@stage_asset(view=rows_view, kinds={"parquet"})
def raw_dataset(upstream: Upstream, out: Path, work: Path) -> ReadSpec:
    """Canonical rows of one shard, and a table of the rows that were refused, each with its line and reason."""
    return _read(upstream, [upstream.source()], unique_ids=False, out=out)


@stage_asset(view=rows_view, kinds={"parquet"})
def eval_dataset(upstream: Upstream, out: Path, work: Path) -> ReadSpec:
    """The held-out test rows, judged as the shards are. No model is trained on them."""
    return _read(upstream, upstream.test_sources(), unique_ids=True, out=out)


def _read(upstream: Upstream, sources: list[SourceFile], unique_ids: bool, out: Path) -> ReadSpec:
    config = upstream.config
    return ReadSpec(files=sources, data=config.data, task=config.task, unique_ids=unique_ids, out=str(out))
