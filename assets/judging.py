"""What another model prefers: the student's answers or the teacher's."""

from pathlib import Path

from distill_dagster.assets.stage_asset import stage_asset
from distill_dagster.assets.views.judging import judgement_view
from distill_dagster.evaluation.judging.specs import JudgeSpec
from distill_dagster.lineage.upstream import Upstream
from distill_dagster.store import files
from distill_dagster.teachers.faculty import endpoint_ref


@stage_asset(view=judgement_view, kinds={"openai"})
def answer_judgement(upstream: Upstream, out: Path, work: Path) -> JudgeSpec:
    """A judge compares the student's answers with the teacher's, blind and in both orders; canaries test it first."""
    config = upstream.config
    judge = config.evaluation.judge
    assert judge is not None, "the stage exists if there is a judge"
    return JudgeSpec(
        judge=endpoint_ref(judge.endpoint),
        teacher=upstream.file("teacher_benchmark", files.PREDICTIONS_FILE),
        student=upstream.file("student_benchmark", files.PREDICTIONS_FILE),
        rows=upstream.file("eval_dataset", files.RAW_FILE),
        prompts=judge.prompts,
        seed=config.evaluation.seed,
        resamples=config.evaluation.resamples,
        responses=str(upstream.project.responses),
        stop_failed_share=config.teacher.stop_failed_share,
        budget_usd=config.teacher.budget_usd,
        out=str(out),
    )
