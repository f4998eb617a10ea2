"""The checks of a shard's answers: are they there, whole, answers at all, as long as before, and within the budget?"""

from collections import Counter

from distill_dagster.checks.base import Check, Finding, at_least, at_most
from distill_dagster.generation.specs import GenerateResult
from distill_dagster.lineage.stages import Project
from distill_dagster.logits.specs import CaptureResult
from distill_dagster.quality.filters.shard_answers import PERSONAL_DATA, UNKNOWN, reasons_of
from distill_dagster.store import files, parquet
from distill_dagster.store.manifest import Manifest
from distill_dagster.teachers.responses import Responses

FEWEST = 30  # answers, before and now, from which a median says something
TRUNCATED = ("truncated", "unfinished")
REFUSALS = ("refusal",)
OFF_FORM = ("off_form", "empty", "placeholder", "no_reasoning")
DEGENERATE = ("repetition", "echo", "self_reference")


def _published(project: Project, shard: str | None) -> Manifest:
    return project.store.get("teacher_outputs", shard)


def _enough_answers(project: Project, shard: str | None) -> Finding:
    found = _reasons(project, shard)
    asked, failed = found.total(), found["failed"]
    numbers = {"success_share": (asked - failed) / max(1, asked), "failed": failed}
    return at_least(asked - failed, asked, project.config.checks.min_success_share, "prompts have an answer", numbers)


def _reasons(project: Project, shard: str | None) -> Counter[str | None]:
    raw = project.store.get("raw_dataset", shard).file(files.RAW_FILE)
    answers = _published(project, shard).file(files.TEACHER_FILE)
    return reasons_of(raw, answers, project.config.quality, project.config.student.learn)


def _few(name: str, reasons: tuple[str, ...], limit: str, do: str, says: str) -> Check:
    """A check that at most the share `checks.<limit>` of the answers has one of those reasons."""

    def look(project: Project, shard: str | None) -> Finding:
        found = _reasons(project, shard)
        answered, bad = found.total() - found["failed"] - found[UNKNOWN], sum(found[reason] for reason in reasons)
        by_reason = {reason: found[reason] for reason in reasons if found[reason]}
        numbers = {f"{limit.removeprefix('max_')}": bad / max(1, answered), **by_reason}
        return at_most(bad, answered, getattr(project.config.checks, limit), do, numbers)

    return Check(name, "teacher_outputs", f"{says} (at most `checks.{limit}`).", look, shows=reasons)


def _cost_within_budget(project: Project, _: str | None) -> Finding:
    budget, share = project.config.teacher.budget_usd, project.config.checks.max_budget_share
    spent = Responses(project.responses).spent()
    if budget is None:
        return Finding(True, f"{spent:,.4f} USD are spent, teacher.budget_usd is not set", {"spent_usd": spent})
    return Finding(
        spent <= budget * share,
        f"{spent:,.4f} of {budget:,.2f} USD are spent ({spent / budget:.1%}); at most {share:.1%} may be",
        {"spent_usd": spent, "budget_usd": budget},
    )


def _steady_answer_length(project: Project, shard: str | None) -> Finding:
    """The median of the answers' characters, against that of the table which this one replaced."""
    result = _published(project, shard).read(GenerateResult)
    now, before = result.answer_length, result.answer_length_before
    if before is None or min(now.answers, before.answers) < FEWEST:
        return Finding(True, f"there is nothing to compare with: fewer than {FEWEST} answers now or before")
    old, new, allowed = before.median, now.median, project.config.checks.max_length_change
    change = abs(new - old) / max(1, old)
    return Finding(
        change <= allowed,
        f"the median answer has {new:g} characters and had {old:g}, a change of {change:.1%}; at most {allowed:.1%} "
        "is expected",
        {"median_characters": new, "median_before": old},
    )


def _every_answer_is_accounted_for(project: Project, shard: str | None) -> Finding:
    """Answered rows against rows with logits and rejects, as multisets of row ids."""
    from distill_dagster.logits.sequences import COLUMNS, may_be_learned

    captured = project.store.get("teacher_logits", shard)
    answers = parquet.read_table(_published(project, shard).file(files.TEACHER_FILE), COLUMNS)
    asked = Counter(row["row_id"] for row in answers if may_be_learned(row))
    found = Counter(row["row_id"] for row in parquet.read_table(captured.file(files.LOGITS_FILE), ["row_id"]))
    found.update(row["row_id"] for row in parquet.read_table(captured.file(files.REJECTS_FILE), ["row_id"]))
    missing, extra, counts = asked - found, found - asked, captured.read(CaptureResult).counts
    return Finding(
        not missing and not extra,
        f"{counts.captured:,} of {asked.total():,} answers have logits, {counts.rejected:,} a "
        f"reject, {missing.total():,} neither, {extra.total():,} were not asked for",
        {"missing": missing.total(), "extra": extra.total()},
    )


CHECKS = (
    Check(
        "enough_answers",
        "teacher_outputs",
        "The teacher answered at least `checks.min_success_share` of the shard's prompts.",
        _enough_answers,
        shows=("failed",),
    ),
    _few(
        "few_truncated", TRUNCATED, "max_truncated_share", "answers are cut off", "Few answers end at the token limit"
    ),
    _few("few_refusals", REFUSALS, "max_refusal_share", "answers decline", "Few answers decline to answer"),
    _few(
        "few_off_form",
        OFF_FORM,
        "max_off_form_share",
        "answers are not in the task's form",
        "Few answers are empty, a placeholder or not in the task's form",
    ),
    _few(
        "few_degenerate",
        DEGENERATE,
        "max_degenerate_share",
        "answers repeat, echo the prompt or speak of a model",
        "Few answers repeat themselves, echo the prompt, or speak of themselves as a model",
    ),
    _few(
        "little_personal_data",
        (PERSONAL_DATA,),
        "max_personal_data_share",
        "answers hold secrets or personal data, or their prompts do",
        "Few answers hold secrets or personal data",
    ),
    Check(
        "cost_within_budget",
        "teacher_outputs",
        "What the project has spent is at most the share `checks.max_budget_share` of `teacher.budget_usd`.",
        _cost_within_budget,
    ),
    Check(
        "steady_answer_length",
        "teacher_outputs",
        "The median length of the shard's answers is near that of the answers before (`checks.max_length_change`).",
        _steady_answer_length,
    ),
    Check(
        "every_answer_is_accounted_for",
        "teacher_logits",
        "Every answered teacher row has its logits, or a reject that says why not.",
        _every_answer_is_accounted_for,
    ),
)
