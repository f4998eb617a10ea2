"""The released student at the places outside the store that `release.publish` names."""

from pathlib import Path

from distill_dagster.assets.stage_asset import stage_asset
from distill_dagster.assets.views.publishing import publish_view
from distill_dagster.lineage.published import files_of
from distill_dagster.lineage.upstream import Upstream
from distill_dagster.release.publish.specs import PublishSpec
from distill_dagster.release.specs import ReleaseResult
from distill_dagster.store import files


@stage_asset(view=publish_view, kinds={"huggingface"})
def published_student(upstream: Upstream, out: Path, work: Path) -> PublishSpec:
    """The released student where others load it: a folder, a bucket, the Hugging Face hub, an MLflow registry."""
    rule, release = upstream.config.release, upstream.artefact("released_student")
    assert rule is not None, "the stage exists if the config has `release.publish`"
    assert rule.publish is not None, "the stage exists if the config has `release.publish`"
    return PublishSpec(
        project=upstream.config.name,
        student=release.read(ReleaseResult).champion,
        folder=str(release.file(files.WEIGHTS_FOLDER)),
        files=files_of(release),
        places=rule.publish,
        out=str(out),
    )
