"""The stages of the gold student: the student trained on gold answers alone, and its benchmark.

    raw_dataset, eval_dataset ─ gold_set ─┐
    student_base ─────────────────────────┴─ gold_student_checkpoint ─ gold_student_benchmark ─ eval_report
    student_checkpoint ─ its settings ────┘

It is trained with the settings that the published student was trained with, such as those that a sweep found, but as
`signal: text`. Only these settings of the student are an input: other answers of the teacher do not train it again.
"""

from distill_dagster.config import DistillConfig, StudentTrainingConfig
from distill_dagster.lineage import settings
from distill_dagster.lineage.benchmarks import benchmark
from distill_dagster.lineage.snapshot import Snapshot
from distill_dagster.lineage.stage import Inputs, Stage
from distill_dagster.training.specs import TrainResult

CHECKPOINT, BENCHMARK = "gold_student_checkpoint", "gold_student_benchmark"
FOLLOWED = "student_checkpoint"  # whose settings it is trained with


def has_gold_student(config: DistillConfig) -> bool:
    """Whether a project trains the student on gold answers too."""
    return config.evaluation.gold_student


def training_of_gold(look: Snapshot) -> StudentTrainingConfig:
    """The settings of the published student's training, with `signal: text`; NotPublishedError if there is none."""
    return look.get(FOLLOWED).read(TrainResult).settings.on_text


def _training(look: Snapshot, _: str | None) -> Inputs:
    return {"training": training_of_gold(look).shaping}


GOLD_SET = Stage(
    "gold_set",
    group="dataset",
    worker="build_gold_set",
    shaped_by=settings.gold_set,
    reads=lambda _: ("raw_dataset", "eval_dataset"),
    wanted=has_gold_student,
)
GOLD_STUDENT: tuple[Stage, ...] = (
    Stage(
        CHECKPOINT,
        group="student",
        worker="train_student",
        shaped_by=lambda _: {},
        reads=lambda _: ("gold_set", "student_base"),
        also=_training,
        consults=lambda _: (FOLLOWED,),
        compute="train",
        pool="gpu_student",
        wanted=has_gold_student,
    ),
    benchmark("gold_student", CHECKPOINT, settings.student_benchmark, wanted=has_gold_student),
)
