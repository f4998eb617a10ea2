"""Rows in: each shard judged row by row, and the held-out rows that nothing trains on."""

from pathlib import Path

from distill_dagster.assets.stage_asset import stage_asset
from distill_dagster.assets.views.rows import rows_view
from distill_dagster.lineage.upstream import Upstream
from distill_dagster.sources.specs import ReadSpec


@stage_asset(view=rows_view, kinds={"parquet"})
def raw_dataset(upstream: Upstream, out: Path, work: Path) -> ReadSpec:
    """Canonical rows of one shard, and a table of the rows that were refused, each with its line and reason."""
    config = upstream.config
    return ReadSpec(sources=[upstream.source()], data=config.data, task=config.task, out=str(out))


@stage_asset(view=rows_view, kinds={"parquet"})
def eval_dataset(upstream: Upstream, out: Path, work: Path) -> ReadSpec:
    """The held-out test rows, judged as the shards are. No model is trained on them."""
    config = upstream.config
    return ReadSpec(sources=upstream.test_sources(), data=config.data, task=config.task, out=str(out))
