"""The released student: a new one replaces it only if it passes the rule of distill_dagster/release/gate.py."""

from pathlib import Path

from distill_dagster.assets.evaluation import benchmark_spec
from distill_dagster.assets.stage_asset import stage_asset
from distill_dagster.assets.views.release import release_view
from distill_dagster.evaluation.specs import BenchmarkResult
from distill_dagster.lineage import settings
from distill_dagster.lineage.guards import require_current_report
from distill_dagster.lineage.releases import earlier_release, measured_as
from distill_dagster.lineage.upstream import Upstream
from distill_dagster.release.card import card_files
from distill_dagster.release.findings import release_problems
from distill_dagster.release.made import Made
from distill_dagster.release.register import unscored
from distill_dagster.release.specs import ReleaseSpec
from distill_dagster.store import files


@stage_asset(view=release_view, kinds={"pytorch", "huggingface"}, guard=require_current_report)
def released_student(upstream: Upstream, out: Path, work: Path) -> ReleaseSpec:
    """The student in use. A new one replaces it if it passes, and is no worse than this and the first release."""
    config, benchmark = upstream.config, upstream.artefact("student_benchmark")
    assert config.release is not None, "the stage exists if the config has `release`"
    student, earlier = upstream.artefact("student_checkpoint"), earlier_release(upstream.project.store)
    measured = measured_as(benchmark)
    return ReleaseSpec(
        student=student.data_version,
        checkpoint=str(student.folder),
        predictions=upstream.file("student_benchmark", files.PREDICTIONS_FILE),
        report=upstream.file("eval_report", files.REPORT_FILE),
        test=upstream.artefact("eval_dataset").data_version,
        measured=measured,
        asks=benchmark_spec(upstream, "student", out, benchmark.read(BenchmarkResult).labels),
        dtype=settings.student_dtype(config),
        unscored=unscored(earlier.folder if earlier else None, student.data_version, measured),
        earlier=str(earlier.folder) if earlier else None,
        release=config.release,
        problems=release_problems(config),
        beside=card_files(Made.of(config, upstream.ancestry())),
        evaluation=config.evaluation,
        who=upstream.started_by,
        run_id=upstream.run_id,
        out=str(out),
    )
