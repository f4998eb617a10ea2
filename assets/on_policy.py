"""The rounds of on-policy training: the student's rollouts, the teacher's distributions over them, a training.

Each round has its own assets, because it reads the student of the round before. All of them are made here from the same
functions; a project has those of its rounds.
"""

from pathlib import Path

from distill_dagster.assets.stage_asset import StageAsset, stage_asset
from distill_dagster.assets.student import TRAINING, train_spec
from distill_dagster.assets.views.logits import logits_view
from distill_dagster.assets.views.rollouts import rollouts_view
from distill_dagster.assets.views.student import student_view
from distill_dagster.lineage import settings
from distill_dagster.lineage.guards import require_trainable
from distill_dagster.lineage.rounds import NUMBERS, logits_of, rollouts_of, student_of
from distill_dagster.lineage.student import student_ref
from distill_dagster.lineage.upstream import Upstream
from distill_dagster.models.ref import read_ref
from distill_dagster.rollouts.specs import CaptureRolloutsSpec, SampleSpec
from distill_dagster.store import files
from distill_dagster.training.specs import TrainSpec


def _rollouts(number: int) -> StageAsset:
    def spec(upstream: Upstream, out: Path, work: Path) -> SampleSpec:
        rounds, generation = upstream.config.student.training.rounds, upstream.config.teacher.generation
        return SampleSpec(
            student=student_ref(upstream.artefact(student_of(number - 1)).folder, upstream.config),
            rounds=rounds,
            round=number,
            max_new_tokens=rounds.max_new_tokens or generation.max_new_tokens,
            examples=upstream.file("validated_synthetic_set", files.EXAMPLES_FILE),
            out=str(out),
            work=str(work),
        )

    spec.__doc__ = f"Samples of {student_of(number - 1)} on training prompts, as it wrote them, token by token."
    return stage_asset(name=rollouts_of(number), view=rollouts_view, kinds={"huggingface", "parquet"})(spec)


def _logits(number: int) -> StageAsset:
    def spec(upstream: Upstream, out: Path, work: Path) -> CaptureRolloutsSpec:
        rollouts, before = upstream.artefact(rollouts_of(number)), student_of(number - 1)
        return CaptureRolloutsSpec(
            teacher=read_ref(upstream.artefact("teacher_model").folder),
            logits=settings.capture_of(upstream.config),
            student=student_ref(upstream.artefact(before).folder, upstream.config) if upstream.reads(before) else None,
            sampled_by=read_ref(upstream.provenance(before).folder),
            stage=logits_of(number),
            rollouts=str(rollouts.file(files.ROLLOUTS_FILE)),
            out=str(out),
        )

    spec.__doc__ = f"The teacher's distribution at each token of {rollouts_of(number)}, packed, keyed by row id."
    return stage_asset(name=logits_of(number), view=logits_view, kinds={"huggingface", "parquet"})(spec)


def _student(number: int) -> StageAsset:
    def spec(upstream: Upstream, out: Path, work: Path) -> TrainSpec:
        training = upstream.config.student.training
        if not number:
            return train_spec(upstream, training.start, upstream.artefact("student_base"), out, work)
        rollouts, logits = upstream.artefact(rollouts_of(number)), upstream.artefact(logits_of(number))
        read = {
            "round": number,
            "rollouts": str(rollouts.file(files.ROLLOUTS_FILE)),
            "rollout_logits": str(logits.file(files.LOGITS_FILE)),
        }
        before = upstream.artefact(student_of(number - 1))
        return train_spec(upstream, training, before, out, work).model_copy(update=read)

    on = f"{rollouts_of(number)} and the teacher's answers" if number else "the teacher's answers"
    spec.__doc__ = f"The student of round {number}, trained on {on}."
    kinds = {"pytorch", "huggingface"}
    decorate = stage_asset(
        name=student_of(number), view=student_view, kinds=kinds, guard=require_trainable, overrides=TRAINING
    )
    return decorate(spec)


ROUNDS: tuple[StageAsset, ...] = (
    _student(0),
    *(make(number) for number in NUMBERS for make in (_rollouts, _logits, _student)),
)
