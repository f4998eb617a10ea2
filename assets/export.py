"""The student in the formats of other runtimes, one asset for each format that the project asks for."""

from pathlib import Path

from distill_dagster.assets.evaluation import benchmark_spec
from distill_dagster.assets.stage_asset import StageAsset, stage_asset
from distill_dagster.assets.views.export import export_view
from distill_dagster.config import EXPORT_FORMATS, ExportFormat
from distill_dagster.lineage.exports import export_of
from distill_dagster.lineage.upstream import Upstream
from distill_dagster.release.export.formats import RUNS_ON, family
from distill_dagster.release.export.specs import ExportSpec
from distill_dagster.store import files


def _export(form: ExportFormat) -> StageAsset:
    def spec(upstream: Upstream, out: Path, work: Path) -> ExportSpec:
        return ExportSpec(
            form=form,
            project=upstream.config.name,
            max_length=upstream.config.export.max_length,
            asked=benchmark_spec(upstream, "student", work, upstream.labels()),
            predictions=upstream.file("student_benchmark", files.PREDICTIONS_FILE),
            out=str(out),
            work=str(work),
        )

    spec.__doc__ = f"The student as {form}, for {RUNS_ON[family(form)]}, and its answers to the held-out rows."
    return stage_asset(name=export_of(form), view=export_view, kinds={family(form)})(spec)


EXPORTS = tuple(_export(form) for form in EXPORT_FORMATS)
