"""The lineage: every stage, what it reads, what shapes it, and which worker makes it. It is declared only here.

    source files → raw_dataset → teacher_model → teacher_outputs → validated_synthetic_set → student_checkpoint
    test files   → eval_dataset → teacher_benchmark, baseline_benchmark, student_benchmark → eval_report
                   → released_student, where the config has `release` → published_student, with `release.publish`
                   student_checkpoint, student_benchmark → student_export_… (exports.py)
                   eval_dataset → speed_benchmark, of all three models and the exports → eval_report
                   gold_set → gold_student_checkpoint → gold_student_benchmark → eval_report (gold_student.py)

Dagster's deps, partitions, code versions, pools and groups are derived from these declarations, and `upstream.Upstream`
lets a maker read what its stage declares and nothing else. To add a stage:

1. a `Stage` here, in the order in which it can be made, and the part of the config that shapes it in settings.py;
2. a spec and a result in the `specs.py` of its room, and the worker that takes one and returns the other;
3. a line in workers.py;
4. an asset of a few lines in assets/, which builds the spec from what it may read, and its view in assets/views/.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from distill_dagster.config import ROLES, DistillConfig, MeasuredRole, ModelConfig, Role
from distill_dagster.lineage import gold_student, settings
from distill_dagster.lineage.benchmarks import benchmark, labels_input
from distill_dagster.lineage.copied import copied_come_from, copied_input
from distill_dagster.lineage.exports import EXPORTS, export_of
from distill_dagster.lineage.labels import labels_come_from
from distill_dagster.lineage.published import released_files
from distill_dagster.lineage.rounds import ROUNDS, rounds_in, student_of
from distill_dagster.lineage.stage import Stage
from distill_dagster.release.publish.bundle import content_of

RAW_SHARDS, SHARD_LIST, TEST_FILES = "raw_shards", "shard_list", "test_files"
MEASURED: dict[Role, str] = {"teacher": "teacher_model", "baseline": "student_base", "student": "student_checkpoint"}
MODELS: dict[MeasuredRole, str] = {**MEASURED, "gold_student": gold_student.CHECKPOINT}


@dataclass(frozen=True, slots=True)
class Observed:
    """Something outside of Dagster from which the lineage starts. `sharded`: each shard has a version of its own."""

    name: str
    says: str
    sharded: bool = False


OBSERVED: tuple[Observed, ...] = (
    Observed(RAW_SHARDS, "Source files for training and validation; one file is one shard.", sharded=True),
    Observed(SHARD_LIST, "The list of shards. It changes when a source file is added, renamed or removed."),
    Observed(TEST_FILES, "Held-out files."),
)


def _reads(*assets: str) -> Callable[[DistillConfig], Sequence[str]]:
    return lambda _: assets


def _teacher_reads(config: DistillConfig) -> Sequence[str]:
    """A fit reads the held-out rows too, so that it can leave out rows like them."""
    reads = {*_tokenizer_reads(config.teacher.model)} if config.teacher.model else set()
    return sorted(reads | ({"raw_dataset", "eval_dataset"} if config.teacher.fit else set()))


def _tokenizer_reads(model: ModelConfig) -> Sequence[str]:
    """Where the tokenizer of a new model comes from; an existing model brings its own."""
    if model.name:
        return ()
    return ("teacher_model",) if model.tokenizer == "teacher" else ("raw_dataset",)


def _base_reads(config: DistillConfig) -> Sequence[str]:
    """The teacher that the student is cut out of, and the prompts over which it is measured; else as for any model."""
    if config.student.model:
        return _tokenizer_reads(config.student.model)
    measures = config.student.init and config.student.init.measures
    return ("teacher_model", "raw_dataset") if measures else ("teacher_model",)


TRAINED_ON = ("validated_synthetic_set", "student_base")


def _student_reads(config: DistillConfig) -> Sequence[str]:
    """What a training reads; or else the last of the rounds, or the sweep."""
    if (last := rounds_in(config)) is not None:
        return (*TRAINED_ON, student_of(last))
    return (*TRAINED_ON, "student_sweep") if config.student.sweep else _training_reads(config)


def _training_reads(config: DistillConfig) -> Sequence[str]:
    """The teacher too if it runs beside the student, or its distributions. The test rows are not among them."""
    training = config.student.training
    logits = ("teacher_logits",) if training.reads_logits else ()
    teacher = ("teacher_model",) if training.reads_teacher else ()
    return (*TRAINED_ON, *logits, *teacher)


def _speed_reads(config: DistillConfig) -> Sequence[str]:
    """The three models, the student's exports, and the prompts."""
    return ("eval_dataset", *MEASURED.values(), *map(export_of, config.export.formats))


def _report_reads(config: DistillConfig) -> Sequence[str]:
    """The benchmarks, the student, the prompts, the trials of a sweep, a judge's word, and the gold student."""
    sweep = ("student_sweep",) if config.student.sweep else ()
    judge = ("answer_judgement",) if config.evaluation.judge else ()
    gold = (gold_student.CHECKPOINT, gold_student.BENCHMARK) if gold_student.has_gold_student(config) else ()
    measured = (*(f"{role}_benchmark" for role in ROLES), "speed_benchmark")
    return (*measured, "student_checkpoint", "eval_dataset", *sweep, *judge, *gold)


STAGES: dict[str, Stage] = {
    stage.name: stage
    for stage in (  # in the order in which they can be made
        Stage(
            "raw_dataset",
            group="source",
            worker="read_rows",
            shaped_by=settings.reading,
            reads=_reads(RAW_SHARDS),
            sharded=True,
            has_watched_columns=True,
            code_version="2",
        ),
        Stage(
            "eval_dataset",
            group="source",
            worker="read_rows",
            shaped_by=settings.reading,
            reads=_reads(TEST_FILES),
            code_version="2",
        ),
        gold_student.GOLD_SET,
        Stage(
            "teacher_model",
            group="teacher",
            worker="prepare_model",
            shaped_by=settings.teacher_model,
            reads=_teacher_reads,
            code_version="2",
            compute="fit",
            pool="gpu_teacher",
        ),
        Stage(
            "teacher_outputs",
            group="teacher",
            worker="generate_shard",
            shaped_by=settings.teacher_outputs,
            reads=_reads("raw_dataset", "teacher_model"),
            sharded=True,
            has_watched_columns=True,
            code_version="6",
            compute="generate",
            pool="gpu_teacher",
        ),
        Stage(
            "teacher_logits",
            group="teacher",
            worker="capture_logits",
            shaped_by=settings.teacher_logits,
            reads=_reads("raw_dataset", "teacher_outputs", "teacher_model"),
            sharded=True,
            code_version="2",
            compute="generate",
            pool="gpu_teacher",
            wanted=lambda config: config.teacher.logits is not None,
        ),
        Stage(
            "validated_synthetic_set",
            group="dataset",
            worker="build_set",
            shaped_by=settings.validated_synthetic_set,
            reads=_reads("raw_dataset", "teacher_outputs", "eval_dataset"),
            has_watched_columns=True,
            code_version="6",
        ),
        Stage(
            "student_base",
            group="student",
            worker="prepare_model",
            shaped_by=settings.student_base,
            reads=_base_reads,
            compute="fit",
        ),
        *ROUNDS,
        Stage(
            "student_sweep",
            group="student",
            worker="train_trial",
            shaped_by=settings.student_sweep,
            reads=_training_reads,
            compute="train",
            pool="gpu_student",
            wanted=lambda config: config.student.sweep is not None,
        ),
        Stage(
            "student_checkpoint",
            group="student",
            worker="train_student",
            shaped_by=settings.student_checkpoint,
            reads=_student_reads,
            compute="train",
            pool="gpu_student",
            has_deadline=True,
        ),
        benchmark("teacher", MEASURED["teacher"], settings.teacher_benchmark),
        benchmark("baseline", MEASURED["baseline"], settings.student_benchmark),
        benchmark("student", MEASURED["student"], settings.student_benchmark),
        *gold_student.GOLD_STUDENT,
        Stage(
            "answer_judgement",
            group="evaluation",
            worker="judge_answers",
            shaped_by=settings.answer_judgement,
            reads=_reads("teacher_benchmark", "student_benchmark", "eval_dataset"),
            wanted=lambda config: config.evaluation.judge is not None,
        ),
        *EXPORTS,
        Stage(
            "speed_benchmark",
            group="evaluation",
            worker="time_models",
            shaped_by=settings.speed_benchmark,
            reads=_speed_reads,
            also=labels_input,
            consults=labels_come_from,
            code_version="2",
            compute="benchmark",
            pool="gpu_student",
        ),
        Stage(
            "eval_report",
            group="evaluation",
            worker="write_report",
            shaped_by=settings.eval_report,
            reads=_report_reads,
            also=copied_input,
            consults=copied_come_from,
            has_deadline=True,
            code_version="8",
        ),
        Stage(
            "released_student",
            group="release",
            worker="release_student",
            shaped_by=settings.released_student,
            reads=_reads("student_checkpoint", "student_benchmark", "eval_dataset", "eval_report"),
            compute="benchmark",
            pool="gpu_student",
            wanted=lambda config: config.release is not None,
        ),
        Stage(
            "published_student",
            group="release",
            worker="publish_student",
            shaped_by=settings.published_student,
            reads=_reads("released_student"),
            also=lambda look, _: {"released_files": content_of(released_files(look))},
            wanted=lambda config: config.release is not None and config.release.publish is not None,
        ),
    )
}


def stages_of(config: DistillConfig) -> list[Stage]:
    """The stages that a project with this config has, in the order in which they can be made."""
    return [stage for stage in STAGES.values() if stage.wanted(config)]


def sharded_names() -> list[str]:
    """The names of the stages that have one artefact for each shard, in order."""
    return [stage.name for stage in STAGES.values() if stage.sharded]


def follows(stage: Stage, config: DistillConfig) -> list[str]:
    """The artefacts and observed files whose change may make the stage stale, each once."""
    return list(dict.fromkeys((*stage.reads(config), *stage.consults(config))))


def deps_of(stage: Stage, config: DistillConfig) -> list[str]:
    """What the stage depends on in Dagster: what it follows, and the list of shards if it reads all of them."""
    followed = follows(stage, config)
    reads_all = not stage.sharded and any(name in STAGES and STAGES[name].sharded for name in followed)
    return [*([SHARD_LIST] if reads_all else []), *followed]


def ancestors(stage: Stage, config: DistillConfig) -> set[str]:
    """Every stage that the stage is made from, directly or through others."""
    found, look = set[str](), [stage]
    while look:
        direct = {name for name in follows(look.pop(), config) if name in STAGES} - found
        found |= direct
        look += [STAGES[name] for name in direct]
    return found
