"""Row filters: each looks at one teacher row and returns the reason to refuse it, a slug, or None to keep it.

    raw_text "I'm sorry, but I can't help with that."      refusal
    raw_text "entailment", finish_reason "length"          truncated
    raw_text '{"reason": "…", "answer_choice": null}'      empty

If the prompt asked for JSON, a filter looks at the answer in it and not at the braces around it.

The filters run in the order of `FILTERS`, and the first reason counts. reasons.py maps the slugs to the codes of
docs/verdicts.md.
"""

from collections.abc import Callable

from distill_dagster.quality.filters.candidate import Candidate
from distill_dagster.quality.filters.degeneration import echo, repetition, self_reference
from distill_dagster.quality.filters.refusal import declines
from distill_dagster.redaction import find
from distill_dagster.tasks.answer_mark import stated
from distill_dagster.tasks.labels import normal_label
from distill_dagster.teachers.finish import LENGTH, REFUSAL, STOP, meaning_of

PLACEHOLDERS = frozenset(
    {"none", "null", "nil", "nan", "undefined", "n/a", "na", "not available", "not applicable", "tbd", "todo", "..."}
    | {"…", "-", "--", "?", "answer", "your answer", "your answer here", "insert answer here", "string", "text"}
)


def failed(candidate: Candidate) -> str | None:
    """The request returned no answer."""
    return "failed" if candidate.teacher["status"] != "ok" else None


def truncated(candidate: Candidate) -> str | None:
    """The answer reached the token limit, so its end is missing."""
    return "truncated" if _end(candidate) == LENGTH else None


def unfinished(candidate: Candidate) -> str | None:
    """Something other than the model ended the answer, such as a content filter."""
    return "unfinished" if _end(candidate) not in (STOP, LENGTH) else None


def empty(candidate: Candidate) -> str | None:
    """The answer is blank."""
    return "empty" if not candidate.text else None


def placeholder(candidate: Candidate) -> str | None:
    """The whole answer is a placeholder such as "N/A", and neither a label nor a gold answer."""
    form = normal_label(stated(candidate.text))
    if form not in PLACEHOLDERS:
        return None
    allowed = {normal_label(text) for text in (*(candidate.labels or ()), *candidate.reference)}
    return "placeholder" if form not in allowed else None


def refusal(candidate: Candidate) -> str | None:
    """The server says that the model refused, in any language.

    Or the answer opens by declining, in a language of refusals.yaml, or what it states behind a mark does.
    """
    end, text = _end(candidate), candidate.text
    return "refusal" if end == REFUSAL or (end == STOP and (declines(text) or declines(stated(text)))) else None


def _end(candidate: Candidate) -> str:
    """What the server's finish reason means."""
    return meaning_of(candidate.teacher["finish_reason"])


def off_form(candidate: Candidate) -> str | None:
    """The text holds no answer in the task's form, such as a label of the set or a number."""
    return "off_form" if candidate.answer is None else None


def no_reasoning(candidate: Candidate) -> str | None:
    """The student learns the reasoning, and the reply to a chain-of-thought prompt has none."""
    return "no_reasoning" if candidate.reasoning_needed and not candidate.reading.reasoning else None


def gold_disagreement(candidate: Candidate) -> str | None:
    """The answer scores 0 against gold; only with `quality.require_gold_agreement`, in tasks where 0 means wrong."""
    if not (candidate.gold_agreement and candidate.task.exact and candidate.reference):
        return None
    score = candidate.task.score(candidate.answer, candidate.reference, candidate.labels)
    return "gold_disagreement" if score == 0 else None


def personal_data(candidate: Candidate) -> str | None:
    """A text for the student holds a secret or personal data; only with `quality.personal_data: reject`."""
    if not candidate.refuse_personal_data:
        return None
    return "personal_data" if any(find(text) for text in candidate.learned) else None


Filter = Callable[[Candidate], str | None]

FILTERS: tuple[Filter, ...] = (
    failed,
    truncated,
    refusal,
    unfinished,
    empty,
    placeholder,
    off_form,
    no_reasoning,
    self_reference,
    repetition,
    echo,
    personal_data,
    gold_disagreement,
)

OF_GOLD: tuple[Filter, ...] = (empty, off_form, personal_data)  # the others look for the faults of a model

__all__ = ["FILTERS", "OF_GOLD", "Candidate", "Filter", "first_reason"]


def first_reason(candidate: Candidate, filters: tuple[Filter, ...] = FILTERS) -> str | None:
    """The first filter's reason to refuse the row, or None."""
    return next((reason for keep in filters if (reason := keep(candidate)) is not None), None)
