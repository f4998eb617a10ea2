"""What must hold before an artefact is made, besides the existence of its inputs: their origins must agree."""

from typing import Any

from distill_dagster.config import ROLES
from distill_dagster.errors import DataError
from distill_dagster.lineage.freshness import is_fresh
from distill_dagster.lineage.gold_student import BENCHMARK, CHECKPOINT, has_gold_student
from distill_dagster.lineage.stages import TRAINED_ON
from distill_dagster.lineage.upstream import Upstream
from distill_dagster.quality.specs import GoldSetResult, SetResult
from distill_dagster.store.hashing import canonical_json

NAMED = 5  # shards that a message names


def require_current_answers(upstream: Upstream) -> None:
    """Every shard's answers come from its present rows, from the present teacher, and from the same settings.

    Raises:
        DataError: some shards were answered before their rows or the teacher changed, or with other settings.
    """
    rows, answers = upstream.shards("raw_dataset"), upstream.shards("teacher_outputs")
    teacher = upstream.provenance("teacher_model").data_version
    behind = [
        key
        for key, manifest in answers.items()
        if manifest.inputs["raw_dataset"] != rows[key].data_version or manifest.inputs["teacher_model"] != teacher
    ]
    if behind:
        raise DataError(
            f"teacher_outputs of {len(behind)} of {len(answers)} shards ({', '.join(behind[:NAMED])}) were made from "
            "other rows or another teacher than the present ones; materialize them again"
        )
    settings = {canonical_json(manifest.inputs["generation"]): key for key, manifest in answers.items()}
    if len(settings) > 1:
        raise DataError(
            f"the shards were answered with {len(settings)} different generation settings, such as those of "
            f"{' and '.join(sorted(settings.values())[:2])}; materialize them again with the same settings"
        )


def require_current_logits(upstream: Upstream) -> None:
    """Every shard's distributions are of the answers in the set, from the present teacher, and of one kind.

    Raises:
        DataError: some shards were captured before their answers or the teacher changed, or with other settings.
    """
    learned: dict[str, Any] = upstream.provenance("validated_synthetic_set").inputs["teacher_outputs"]
    teacher, stored = upstream.provenance("teacher_model").data_version, upstream.shards("teacher_logits")
    behind = [
        key
        for key, manifest in stored.items()
        if manifest.inputs["teacher_outputs"] != learned.get(key) or manifest.inputs["teacher_model"] != teacher
    ]
    if behind:
        raise DataError(
            f"teacher_logits of {len(behind)} of {len(stored)} shards ({', '.join(behind[:NAMED])}) are of other "
            "answers than those in validated_synthetic_set, or from another teacher than the present one; materialize "
            "teacher_logits and validated_synthetic_set again"
        )
    settings = {canonical_json([manifest.inputs["logits"], manifest.inputs["dtype"]]) for manifest in stored.values()}
    if len(settings) > 1:
        raise DataError(
            f"the shards of teacher_logits were captured with {len(settings)} different settings, such as "
            f"{' and '.join(sorted(settings)[:2])}; materialize them again with the same settings"
        )


def require_trainable(upstream: Upstream) -> None:
    """There are enough rows to train on, and what is stored of the teacher belongs to them; errors as of both."""
    require_rows(upstream)
    if upstream.reads("teacher_logits"):
        require_current_logits(upstream)
    if upstream.reads("student_sweep"):
        require_current_sweep(upstream)


def require_current_sweep(upstream: Upstream) -> None:
    """The sweep trained the present student on the present set.

    Raises:
        DataError: the set, or the student before distillation, has changed since.
    """
    made_from = upstream.artefact("student_sweep").inputs
    behind = [name for name in TRAINED_ON if made_from[name] != upstream.artefact(name).data_version]
    if behind:
        raise DataError(
            f"student_sweep was made from another {' and '.join(behind)} than the present one; materialize it again"
        )


def require_sweepable(upstream: Upstream) -> None:
    """There are enough rows to train on, and some to measure the validation loss on.

    Raises:
        DataError: as `require_trainable`, or no validation row passed the filters.
    """
    require_trainable(upstream)
    counts = upstream.artefact("validated_synthetic_set").read(SetResult).counts
    if not counts.validation:
        raise DataError(
            f"`student.sweep` compares validation losses, and 0 of {counts.examples} rows that passed the filters are "
            "for validation: look at the rejects of validated_synthetic_set, or add validation rows"
        )


def require_rows(upstream: Upstream) -> None:
    """There are enough rows to train on (E009).

    Raises:
        DataError: fewer training rows passed the filters than `checks.min_train_rows`.
    """
    have = upstream.artefact("validated_synthetic_set").read(SetResult).counts.train
    wanted = upstream.config.checks.min_train_rows
    if have < wanted:
        raise DataError(
            f"E009: {have} training rows passed the filters, and at least {wanted} are wanted: "
            "look at the rejects of validated_synthetic_set, add data, or lower checks.min_train_rows"
        )


def require_gold_rows(upstream: Upstream) -> None:
    """There are gold answers to train on.

    Raises:
        DataError: no gold answer of a training row passed the filters.
    """
    counts = upstream.artefact("gold_set").read(GoldSetResult).counts
    if not counts.train:
        refused = ", ".join(f"{count:,} {reason}" for reason, count in counts.by_reason.items()) or "none"
        raise DataError(
            f"`evaluation.gold_student` trains on gold answers, and of {counts.prompts:,} prompts {counts.no_gold:,} "
            f"have none and 0 have one that may train (refused: {refused}): look at the rejects of gold_set, "
            "add `reference` to training rows, or remove `evaluation.gold_student`"
        )


def require_related(upstream: Upstream) -> None:
    """The report compares only what belongs together.

    The benchmarks are those of the present models, the baseline is the model that the student was trained from, and the
    teacher is the one whose answers the student learned. The gold student has the settings of the present student.

    Raises:
        DataError: one of them was made from other inputs than the present ones.
    """
    look, student = upstream.look, upstream.artefact("student_checkpoint")
    measured = [*(f"{role}_benchmark" for role in ROLES), "speed_benchmark"]
    measured += [CHECKPOINT, BENCHMARK] if has_gold_student(upstream.config) else []
    behind = [name for name in measured if not is_fresh(look, name)]
    learned = ("validated_synthetic_set", "student_base")
    if any(student.inputs[name] != upstream.provenance(name).data_version for name in learned):
        behind.append("student_checkpoint")
    if shards := _answered_by_another(upstream):
        behind.append(f"teacher_outputs of {', '.join(shards[:NAMED])}")
    if behind:
        raise DataError(f"{', '.join(behind)}: made from other inputs than the present ones; materialize again first")


def require_current_report(upstream: Upstream) -> None:
    """The student that may be released is the one that the benchmark measured and the report is about.

    Raises:
        DataError: the benchmark or the report was made from other inputs than the present ones.
    """
    behind = [name for name in ("student_benchmark", "eval_report") if not is_fresh(upstream.look, name)]
    if behind:
        raise DataError(f"{', '.join(behind)}: made from other inputs than the present ones; materialize again first")


def _answered_by_another(upstream: Upstream) -> list[str]:
    """The shards whose answers are in the set but come from another version of the teacher."""
    teacher = upstream.artefact("teacher_benchmark").inputs["teacher_model"]
    learned: dict[str, Any] = upstream.provenance("validated_synthetic_set").inputs["teacher_outputs"]
    answers = {shard: upstream.look.find("teacher_outputs", shard) for shard in sorted(learned)}
    return [
        shard
        for shard, manifest in answers.items()
        if manifest and manifest.data_version == learned[shard] and manifest.inputs["teacher_model"] != teacher
    ]
