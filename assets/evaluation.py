"""What is known of the three models: teacher, student before and after distillation, and the report on them.

The three benchmarks are one function over three models, so that only the student's is measured again when only
the student changed.
"""

from pathlib import Path

import dagster as dg

from distill_dagster.assets.condition import rerun_when_inputs_change
from distill_dagster.assets.partitions import shard_list
from distill_dagster.assets.publishing import publish
from distill_dagster.assets.raw_dataset import eval_dataset, raw_dataset
from distill_dagster.assets.student import student_base, student_checkpoint
from distill_dagster.assets.teacher import teacher_model
from distill_dagster.assets.views.evaluation import benchmark_view, report_view
from distill_dagster.config import Role
from distill_dagster.evaluation.specs import BenchmarkSpec
from distill_dagster.lineage import makers as steps
from distill_dagster.lineage import settings
from distill_dagster.lineage.stages import labels_of
from distill_dagster.models.ref import read_ref
from distill_dagster.resources.compute import Compute
from distill_dagster.resources.project import ProjectResource
from distill_dagster.store import files
from distill_dagster.store.manifest import Produced
from distill_dagster.teachers.faculty import current_faculty


def _benchmark(role: Role, model: dg.AssetsDefinition, what: str) -> dg.AssetsDefinition:
    @dg.asset(
        name=f"{role}_benchmark",
        description=f"{what} on the held-out rows: task scores with intervals, latency, memory, size. Greedy decoding.",
        deps=[shard_list, raw_dataset, eval_dataset, model],  # raw_dataset: where labels are those that its gold has
        group_name="evaluation",
        kinds={"pytorch", "parquet"},
        pool="gpu_student",
        automation_condition=rerun_when_inputs_change(),
    )
    def benchmark(
        context: dg.AssetExecutionContext, project: ProjectResource, benchmark_compute: Compute
    ) -> dg.MaterializeResult:
        value = project.value

        def make(out: Path, _: Path) -> Produced:
            teacher = value.config.teacher
            folder = value.store.get(model.key.to_user_string()).folder
            ref = current_faculty(folder, teacher).teachers[0][1] if role == "teacher" else read_ref(folder)
            request = BenchmarkSpec(
                role=role,
                model=ref,
                responses=str(value.responses),
                stop_failed_share=teacher.stop_failed_share,
                budget_usd=teacher.budget_usd,
                rows=str(value.store.get("eval_dataset").file(files.RAW_FILE)),
                max_new_tokens=settings.answer_tokens(value.config),
                labels=labels_of(value),
                **(settings.asked_with(value.config) if role == "teacher" else {}),
                evaluation=value.config.evaluation,
                out=str(out),
            )
            return benchmark_compute.run(context, "run_benchmark", request, on_cpu=ref.endpoint is not None)

        return publish(context, value, make, benchmark_view)

    return benchmark


teacher_benchmark = _benchmark("teacher", teacher_model, "The teacher")
baseline_benchmark = _benchmark("baseline", student_base, "The student before distillation")
student_benchmark = _benchmark("student", student_checkpoint, "The distilled student")


@dg.asset(
    deps=[teacher_benchmark, baseline_benchmark, student_benchmark, student_checkpoint],
    group_name="evaluation",
    kinds={"html"},
    automation_condition=rerun_when_inputs_change(),
)
def eval_report(context: dg.AssetExecutionContext, project: ProjectResource) -> dg.MaterializeResult:
    """Teacher, baseline and distilled student side by side: retention, gap recovered, intervals and a verdict."""
    value = project.value
    return publish(context, value, lambda out, _: steps.make_report(value, out), report_view)
