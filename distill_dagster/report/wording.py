"""The report's sentences: the headline, the verdict, and McNemar's test."""

from collections.abc import Sequence

from distill_dagster.evaluation.chance import Standing
from distill_dagster.evaluation.comparison import McNemar, RatioEstimate
from distill_dagster.evaluation.judging.specs import JudgementTable
from distill_dagster.evaluation.verdict import Decision
from distill_dagster.report.document import Ratios
from distill_dagster.report.numbers import DASH, percent, percent_range, ratio_phrase


def headline(retention: RatioEstimate, ratios: Ratios) -> str:
    """The report in one sentence."""
    if retention.value is None:
        return f"The share of the teacher's score that the student keeps is undefined: {retention.reason}."
    interval = percent_range(retention.low, retention.high)
    certainty = "no 95 % interval" if interval == DASH else f"95 % interval {interval}"
    phrases = [
        ratio_phrase(ratios.parameters, "parameters", "fewer", "more", "as many parameters"),
        ratio_phrase(ratios.latency, "latency", "lower", "higher", "the same latency"),
    ]
    cost = " and ".join(phrase for phrase in phrases if phrase)
    return f"The student keeps {percent(retention.value)} ({certainty}) of the teacher's score" + (
        f" with {cost}." if cost else "."
    )


def weak_teacher_text(found: Sequence[Standing]) -> str | None:
    """The warning that a teacher does not beat the chance level, or None."""
    weak = [str(standing) for standing in found if not standing.is_above]
    if not weak:
        return None
    return (
        f"Weak teacher: {'; '.join(weak)}. Retention compares the student with this teacher, so it says little; "
        "improve the teacher, or measure with more held-out rows."
    )


def verdict_text(decision: Decision, target: float, retention: RatioEstimate) -> str:
    """Why the verdict is what it is, and how many items would decide an open one."""
    wanted = percent(target)
    if retention.low is None or retention.high is None:
        return f"The target of {wanted} can be neither confirmed nor ruled out: {decision.reason}."
    interval = f"95 % interval of the retention, {percent_range(retention.low, retention.high)} %,"
    if decision.outcome == "PASS":
        return f"The whole {interval} is at or above the target of {wanted}."
    if decision.outcome == "FAIL":
        return f"The whole {interval} is below the target of {wanted}."
    text = f"The {interval} contains the target of {wanted}."
    if decision.items_needed is None:
        return f"{text} The estimate lies on the target, so no number of items would decide it."
    return (
        f"{text} About {_rounded(decision.items_needed)} held-out items would decide it; there are {retention.items:,}."
    )


def _rounded(count: int) -> str:
    """An estimate to two significant digits, never below the count."""
    step = 10 ** max(len(str(count)) - 2, 0)
    return f"{-(-count // step) * step:,}"


def mcnemar_text(test: McNemar | None, items: int) -> str:
    """Student against teacher, item by item."""
    if test is None:
        return "Scores of this task are fractions, so McNemar's test does not apply."
    p = "p < 0.001" if test.p_value < 0.001 else f"p = {test.p_value:.3f}"
    return (
        f"Of {items:,} items, only the teacher got {test.only_teacher:,} right, and only the student "
        f"{test.only_student:,} (McNemar's exact test, {p})."
    )


def judge_text(word: JudgementTable) -> str:
    """What a judge says of the student's answers and the teacher's, or why its word does not count."""
    if not word.trusted:
        return f"The word of {word.judge} does not count: {word.reason}."
    counts = word.counts
    ties = counts.ties + counts.identical
    said = (
        f"{word.judge} compared the answers to {counts.prompts:,} prompts, blind and in both orders: the student's is "
        f"better {counts.student:,} times, the teacher's {counts.teacher:,} times, and {ties:,} are ties"
    )
    said += f"; {counts.unread:,} could not be read" if counts.unread else ""
    if word.score is None:
        return f"{said}."
    share = f"{percent(word.score)} (95 % interval {percent_range(word.low, word.high)})"
    return f"{said}. With ties as half, the student wins {share}; 50 % is as good as the teacher."


def estimate_cell(estimate: RatioEstimate) -> str:
    """A ratio with its interval."""
    if estimate.value is None:
        return DASH
    return f"{percent(estimate.value)} ({percent_range(estimate.low, estimate.high)})"
