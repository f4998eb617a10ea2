"""Whether the source rows can become what the steps need, before a teacher is paid.

Requirement("rows", "validated_synthetic_set", "error", "54 prompts … at most 54 answers, and 65 are wanted: …")
Requirement("gold answers", "eval_dataset", "error", "0 of 18 held-out prompts have a gold answer …")
Requirement("gold answers", "gold_set", "error", "… 0 of 1,200 prompts of the training rows have a gold answer …")

Training files are read until enough is found.
"""

import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from distill_dagster.config import DistillConfig, Severity
from distill_dagster.lineage.gold_student import CHECKPOINT, GOLD_SET
from distill_dagster.lineage.snapshot import Snapshot
from distill_dagster.planning.source_rows import SourceRows
from distill_dagster.preflight.pending import Pending
from distill_dagster.preflight.requirement import Requirement, State
from distill_dagster.tasks.prompts import prompts_of

ANSWERS, SET, TEST = "teacher_outputs", "validated_synthetic_set", "eval_dataset"
SCORED = {"teacher_benchmark", "baseline_benchmark", "student_benchmark"}
GOLD = {GOLD_SET.name, CHECKPOINT}
STATES: dict[Severity, State] = {"error": "error", "warn": "warning"}


class _Limit(NamedTuple):
    """A limit of the set's checks."""

    field: str  # of `checks`
    rows: str  # the rows that count towards it
    split: str | None  # theirs; None: every one
    what: str  # what comes from their prompts
    wanted: int
    severity: Severity


def row_requirements(look: Snapshot, pending: Pending) -> Iterator[Requirement]:
    """Whether there are enough rows, and gold answers to score and to train with, as far as the steps need them."""
    stages = set(pending.stages)
    with tempfile.TemporaryDirectory() as folder:
        source = SourceRows(look, Path(folder))
        if {ANSWERS, SET} <= stages:  # once every answer is paid for, a refusal saves no money: the set's checks tell
            yield from _enough_rows(look, source)
        if SCORED & stages:
            yield _scored(look.config, source)
        if GOLD & stages:
            yield _gold(look, source)


def _enough_rows(look: Snapshot, source: SourceRows) -> Iterator[Requirement]:
    """Whether the checks `enough_teacher_rows` and `enough_training_rows` can pass."""
    checks, teacher = look.config.checks, look.config.teacher
    each = teacher.generation.samples * (1 + len(teacher.best_of.teachers if teacher.best_of else ()))
    severity, trained = checks.severity, "training rows"
    every = [
        _Limit(
            "min_teacher_rows", "source rows", None, "answers", checks.min_teacher_rows, severity.enough_teacher_rows
        ),
        _Limit("min_train_rows", trained, "train", trained, checks.min_train_rows, severity.enough_training_rows),
    ]
    limits = [limit for limit in every if limit.severity != "off"]
    prompts, unread = Counter[str](), list[str]()

    def most(limit: _Limit) -> int:
        return each * (prompts[limit.split] if limit.split else prompts.total())

    for shard in look.shards:
        if all(most(limit) >= limit.wanted for limit in limits):
            break
        rows = source.of("raw_dataset", shard)
        if rows is None:
            unread.append(shard)
        for row in rows or ():
            prompts[row["split"]] += len(prompts_of(row))
    for limit in limits:
        if most(limit) >= limit.wanted:
            yield Requirement("rows", SET, "ok", f"enough for {limit.wanted:,} {limit.what}")
        elif unread:
            yield Requirement("rows", SET, "not checked", f"{', '.join(unread)} cannot be read")
        else:
            said = (
                f"the {limit.rows} have {most(limit) // each:,} prompts, from which at most {most(limit):,} "
                f"{limit.what} can come, and {limit.wanted:,} are wanted: add rows, or lower `checks.{limit.field}`"
            )
            yield Requirement("rows", SET, STATES[limit.severity], said)


def _scored(config: DistillConfig, source: SourceRows) -> Requirement:
    rows = source.of(TEST, None)
    if rows is None:
        return Requirement("gold answers", TEST, "not checked", "the held-out files cannot be read")
    asked = [prompt for row in rows for prompt in prompts_of(row)]
    scored = sum(bool(prompt.reference) for prompt in asked)
    if scored:
        found = f"{scored:,} of {len(asked):,} held-out prompts have a gold answer"
        if 2 * scored >= len(asked):
            return Requirement("gold answers", TEST, "ok", found)
        more = f"the others are answered and not scored: give the rows of {_patterns(config)} a `reference`"
        return Requirement("gold answers", TEST, "warning", f"{found}; {more}")
    said = (
        f"0 of {len(asked):,} held-out prompts have a gold answer, so nothing can be scored: end each row of "
        f"{_patterns(config)} with an assistant turn that holds it, or give it `reference`"
    )
    return Requirement("gold answers", TEST, "error", said)


def _patterns(config: DistillConfig) -> str:
    test = config.data.test
    return test if isinstance(test, str) else ", ".join(test)


def _gold(look: Snapshot, source: SourceRows) -> Requirement:
    prompts, unread = 0, []
    for shard in look.shards:
        rows = source.of("raw_dataset", shard)
        if rows is None:
            unread.append(shard)
            continue
        asked = [prompt for row in rows if row["split"] == "train" for prompt in prompts_of(row)]
        if any(prompt.reference for prompt in asked):
            return Requirement("gold answers", GOLD_SET.name, "ok", f"training rows of {shard} have gold answers")
        prompts += len(asked)
    if unread:
        return Requirement("gold answers", GOLD_SET.name, "not checked", f"{', '.join(unread)} cannot be read")
    said = (
        f"`evaluation.gold_student` trains on gold answers, and 0 of {prompts:,} prompts of the training rows have "
        "one: add `reference` to training rows, or remove `evaluation.gold_student`"
    )
    return Requirement("gold answers", GOLD_SET.name, "error", said)
