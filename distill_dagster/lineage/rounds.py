"""The stages of on-policy training: a cold start, and for each round the student's samples, the teacher's, a training.

    student_base ─ student_round_0 ─ student_rollouts_1 ─ rollout_logits_1 ─ student_round_1 ─ … ─ student_checkpoint

A round reads the student of the round before, so each has stages of its own (docs/adr/0014). A stage of a round does
not depend on how many rounds there are: one more round leaves the earlier ones up to date.
"""

from collections.abc import Callable, Sequence
from functools import partial

from distill_dagster.config import DistillConfig
from distill_dagster.config.on_policy import MOST_ROUNDS
from distill_dagster.lineage import settings
from distill_dagster.lineage.stage import Stage

NUMBERS = range(1, MOST_ROUNDS + 1)


def rollouts_of(number: int) -> str:
    """The stage that samples the student of the round before."""
    return f"student_rollouts_{number}"


def logits_of(number: int) -> str:
    """The stage in which the teacher reads the rollouts."""
    return f"rollout_logits_{number}"


def student_of(number: int) -> str:
    """The stage that trains on them; 0 is the cold start."""
    return f"student_round_{number}"


def rounds_in(config: DistillConfig) -> int | None:
    """How many rounds a project has after the cold start; None if its student does not learn on-policy."""
    training = config.student.training
    return training.rounds.rounds if training.signal == "on_policy" else None


def _has(number: int) -> Callable[[DistillConfig], bool]:
    """Whether a project has that round."""
    return lambda config: (rounds_in(config) or -1) >= number


def _texts(config: DistillConfig) -> Sequence[str]:
    """The teacher's answers, and their distributions if the student learns those."""
    logits = ("teacher_logits",) if config.student.training.reads_logits else ()
    return ("validated_synthetic_set", *logits)


def _read_by_teacher(number: int, config: DistillConfig) -> Sequence[str]:
    """The student too, if its own likeliest tokens are kept."""
    student = (student_of(number - 1),) if config.student.training.rounds.keeps_students_tokens else ()
    return (rollouts_of(number), "teacher_model", *student)


def _trained_on(number: int, config: DistillConfig) -> Sequence[str]:
    before = (student_of(number - 1), rollouts_of(number), logits_of(number)) if number else ("student_base",)
    return (*_texts(config), *before)


def _training(number: int) -> Stage:
    return Stage(
        student_of(number),
        group="student",
        worker="train_student",
        shaped_by=settings.student_round if number else settings.student_start,
        reads=partial(_trained_on, number),
        compute="train",
        pool="gpu_student",
        wanted=_has(number),
    )


def _round(number: int) -> Sequence[Stage]:
    return (
        Stage(
            rollouts_of(number),
            group="student",
            worker="sample_rollouts",
            shaped_by=partial(settings.student_rollouts, number),
            reads=lambda _: ("validated_synthetic_set", student_of(number - 1)),
            compute="train",
            pool="gpu_student",
            wanted=_has(number),
        ),
        Stage(
            logits_of(number),
            group="student",
            worker="capture_rollouts",
            shaped_by=settings.rollout_logits,
            reads=partial(_read_by_teacher, number),
            compute="generate",
            pool="gpu_teacher",
            wanted=_has(number),
        ),
        _training(number),
    )


ROUNDS: tuple[Stage, ...] = (_training(0), *(stage for number in NUMBERS for stage in _round(number)))
