"""The gold student: the same student trained on gold answers alone. It shows what the teacher adds."""

from pathlib import Path

from distill_dagster.assets.evaluation import benchmark_asset
from distill_dagster.assets.stage_asset import stage_asset
from distill_dagster.assets.views.dataset import gold_set_view
from distill_dagster.assets.views.student import student_view
from distill_dagster.lineage.gold_student import training_of_gold
from distill_dagster.lineage.guards import require_gold_rows
from distill_dagster.lineage.student import student_ref
from distill_dagster.lineage.upstream import Upstream
from distill_dagster.quality.specs import GoldSetSpec
from distill_dagster.store import files
from distill_dagster.training.specs import PrepareResult, TrainSpec


@stage_asset(view=gold_set_view, kinds={"parquet"})
def gold_set(upstream: Upstream, out: Path, work: Path) -> GoldSetSpec:
    """The gold answers of the training rows, without duplicates and held-out rows. No teacher is asked for them."""
    return GoldSetSpec(
        raw=upstream.files("raw_dataset", files.RAW_FILE),
        test=upstream.file("eval_dataset", files.RAW_FILE),
        quality=upstream.config.quality,
        learn=upstream.config.student.learn,
        out=str(out),
        work=str(work),
    )


@stage_asset(view=student_view, kinds={"pytorch", "huggingface"}, guard=require_gold_rows)
def gold_student_checkpoint(upstream: Upstream, out: Path, work: Path) -> TrainSpec:
    """The student trained on gold answers alone, from the same weights and with the settings of the distilled one."""
    config, base = upstream.config, upstream.artefact("student_base")
    return TrainSpec(
        student_base=student_ref(base.folder, config),
        cut=base.read(PrepareResult).cut,
        teacher=None,
        training=training_of_gold(upstream.look),
        examples=upstream.file("gold_set", files.EXAMPLES_FILE),
        name=f"{config.name}-gold",
        task=config.task,
        out=str(out),
        work=str(work),
        tensorboard=str(upstream.project.curves(upstream.stage.name, work.name)),
    )


gold_student_benchmark = benchmark_asset("gold_student", "The student trained on gold answers alone")
