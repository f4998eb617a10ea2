"""The checks of a shard's answers: their number, form and length, and what they cost."""

from collections import Counter
from collections.abc import Callable

from distill_dagster.checks.base import Check, Finding, Inspection, at_least, at_most
from distill_dagster.config import ChecksConfig, Severity, SeverityConfig
from distill_dagster.generation.specs import GenerateResult
from distill_dagster.logits.specs import CaptureResult
from distill_dagster.quality.filters.shard_answers import PERSONAL_DATA, UNKNOWN, reasons_of
from distill_dagster.store import files, parquet
from distill_dagster.teachers.money import spent_so_far
from distill_dagster.teachers.responses import Responses

FEWEST = 30  # answers, now and before, below which medians are not compared
TRUNCATED = ("truncated", "unfinished")
REFUSALS = ("refusal",)
OFF_FORM = ("off_form", "empty", "placeholder", "no_reasoning")
DEGENERATE = ("repetition", "echo", "self_reference")


def _enough_answers(of: Inspection) -> Finding:
    found = _reasons(of)
    asked, failed = found.total(), found["failed"]
    numbers = {"success_share": (asked - failed) / max(1, asked), "failed": failed}
    return at_least(asked - failed, asked, of.limit, "prompts have an answer", numbers)


def _reasons(of: Inspection) -> Counter[str | None]:
    raw = of.beside("raw_dataset").file(files.RAW_FILE)
    answers = of.manifest.file(files.TEACHER_FILE)
    return reasons_of(raw, answers, of.config.quality, of.config.student.learn)


def _few(
    name: str,
    reasons: tuple[str, ...],
    says: str,
    what: str,
    share: str,
    severity: Callable[[SeverityConfig], Severity],
    limit: Callable[[ChecksConfig], float],
) -> Check:
    """A check that at most the share `checks.max_<share>` of the answers has one of those reasons."""

    def inspect(of: Inspection) -> Finding:
        found = _reasons(of)
        answered, bad = found.total() - found["failed"] - found[UNKNOWN], sum(found[reason] for reason in reasons)
        by_reason = {reason: found[reason] for reason in reasons if found[reason]}
        return at_most(bad, answered, of.limit, what, {share: bad / max(1, answered), **by_reason})

    return Check(name, "teacher_outputs", f"{says} (at most `checks.max_{share}`).", inspect, severity, limit, reasons)


def _cost_within_budget(of: Inspection) -> Finding:
    budget, share = of.config.teacher.budget_usd, of.limit
    spent = Responses(of.look.project.responses).spent()
    if budget is None:
        said = f"{spent_so_far(spent, of.config.teacher)}; teacher.budget_usd is not set"
        return Finding(True, said, {"spent_usd": spent})
    return Finding(
        spent <= budget * share,
        f"{spent:,.4f} of {budget:,.2f} USD are spent ({spent / budget:.1%}); at most {share:.1%} may be",
        {"spent_usd": spent, "budget_usd": budget},
    )


def _steady_answer_length(of: Inspection) -> Finding:
    """Compare the median length of the answers, in characters, with that of the version before."""
    result, previous = of.manifest.read(GenerateResult), of.previous
    now, before = result.answer_length, previous.read(GenerateResult).answer_length if previous else None
    if before is None or min(now.answers, before.answers) < FEWEST:
        return Finding(True, f"not compared: there are fewer than {FEWEST} answers, or were before")
    old, new, allowed = before.median, now.median, of.limit
    change = abs(new - old) / max(1, old)
    return Finding(
        change <= allowed,
        f"the median answer has {new:g} characters and had {old:g}, a change of {change:.1%}; at most {allowed:.1%} "
        "is expected",
        {"median_characters": new, "median_before": old},
    )


def _every_answer_is_accounted_for(of: Inspection) -> Finding:
    """Compare answered rows with rows that have logits or a reject, as multisets of row ids."""
    from distill_dagster.logits.sequences import COLUMNS, may_be_learned

    captured = of.manifest
    answers = parquet.read_table(of.beside("teacher_outputs").file(files.TEACHER_FILE), COLUMNS)
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
        severity=lambda s: s.enough_answers,
        limit=lambda c: c.min_success_share,
        shows=("failed",),
    ),
    _few(
        "few_truncated",
        TRUNCATED,
        says="Few answers end at the token limit",
        what="answers are cut off",
        share="truncated_share",
        severity=lambda s: s.few_truncated,
        limit=lambda c: c.max_truncated_share,
    ),
    _few(
        "few_refusals",
        REFUSALS,
        says="Few answers decline to answer",
        what="answers decline",
        share="refusal_share",
        severity=lambda s: s.few_refusals,
        limit=lambda c: c.max_refusal_share,
    ),
    _few(
        "few_off_form",
        OFF_FORM,
        says="Few answers are empty, a placeholder or not in the task's form",
        what="answers are not in the task's form",
        share="off_form_share",
        severity=lambda s: s.few_off_form,
        limit=lambda c: c.max_off_form_share,
    ),
    _few(
        "few_degenerate",
        DEGENERATE,
        says="Few answers repeat themselves, echo the prompt, or speak of themselves as a model",
        what="answers repeat, echo the prompt or speak of a model",
        share="degenerate_share",
        severity=lambda s: s.few_degenerate,
        limit=lambda c: c.max_degenerate_share,
    ),
    _few(
        "little_personal_data",
        (PERSONAL_DATA,),
        says="Few answers hold secrets or personal data",
        what="answers hold secrets or personal data, or their prompts do",
        share="personal_data_share",
        severity=lambda s: s.little_personal_data,
        limit=lambda c: c.max_personal_data_share,
    ),
    Check(
        "cost_within_budget",
        "teacher_outputs",
        "What the project has spent is at most the share `checks.max_budget_share` of `teacher.budget_usd`.",
        _cost_within_budget,
        severity=lambda s: s.cost_within_budget,
        limit=lambda c: c.max_budget_share,
    ),
    Check(
        "steady_answer_length",
        "teacher_outputs",
        "The median length of the shard's answers is near that of the answers before (`checks.max_length_change`).",
        _steady_answer_length,
        severity=lambda s: s.steady_answer_length,
        limit=lambda c: c.max_length_change,
    ),
    Check(
        "every_answer_is_accounted_for",
        "teacher_logits",
        "Every answered teacher row has its logits, or a reject that says why not.",
        _every_answer_is_accounted_for,
        severity=lambda s: s.every_answer_is_accounted_for,
    ),
)
