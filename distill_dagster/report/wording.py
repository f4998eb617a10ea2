"""The report's sentences: the headline, the verdict, and McNemar's test."""

from collections.abc import Sequence

from distill_dagster.config import EvaluationConfig
from distill_dagster.evaluation.chance import Standing
from distill_dagster.evaluation.comparison import McNemar, RatioEstimate
from distill_dagster.evaluation.differences import Difference
from distill_dagster.evaluation.earlier import AgainstEarlier
from distill_dagster.evaluation.judging.specs import JudgementTable
from distill_dagster.evaluation.verdict import Decision
from distill_dagster.report.document import Ratios, ReportDocument
from distill_dagster.report.numbers import DASH, percent, percent_range, ratio_phrase
from distill_dagster.report.specs import DataCost
from distill_dagster.teachers.money import usd


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
        f"{text} About {_rounded(decision.items_needed)} held-out items would decide it with a probability of 80 %; "
        f"there are {retention.items:,}."
    )


def _rounded(count: int) -> str:
    """An estimate to two significant digits, never below the count."""
    step = 10 ** max(len(str(count)) - 2, 0)
    return f"{-(-count // step) * step:,}"


def mcnemar_text(test: McNemar | None, items: int) -> str:
    """Student against teacher, item by item."""
    if test is None:
        return "Scores of this task are fractions, so McNemar's test does not apply."
    counts = (
        f"Of {items:,} items, only the teacher got {test.only_teacher:,} right, and only the student "
        f"{test.only_student:,}"
    )
    if test.p_value is None:
        return f"{counts}. Items form groups, so McNemar's test, which takes each as independent, does not apply."
    return f"{counts} (McNemar's exact test, {p_text(test.p_value)})."


def p_text(p_value: float) -> str:
    """A p-value with three decimals."""
    return "p < 0.001" if p_value < 0.001 else f"p = {p_value:.3f}"


def points(difference: Difference) -> str:
    """A difference with its interval, in percentage points."""
    value, low, high = (f"{100 * part:+.1f}" for part in (difference.value, difference.low, difference.high))
    return f"{value} ({low} to {high})"


def fall_text(released: AgainstEarlier | None, earlier: AgainstEarlier | None) -> str | None:
    """The warning that the released student, or that of the replaced report, did a task better; None if neither did."""
    worse = [text for who, compared in earlier_students(released, earlier) if (text := _worse_text(who, compared))]
    return " ".join([*worse, "The verdict compares the student with its teacher alone."]) if worse else None


def earlier_students(
    released: AgainstEarlier | None, earlier: AgainstEarlier | None
) -> list[tuple[str, AgainstEarlier]]:
    """The comparisons with other students, each with the words for its student; one and the same student comes once."""
    named = [(f"the student released on {released.created_at[:10]}", released)] if released else []
    if earlier and not (released and released.student == earlier.student):
        named.append((f"the student of the report of {earlier.created_at[:10]}", earlier))
    return named


def _worse_text(who: str, compared: AgainstEarlier) -> str | None:
    fallen = [
        f"{found.task} from {percent(found.second)} to {percent(found.first)} ({points(found.difference)} points, "
        f"{p_text(found.adjusted)} after Holm, {found.difference.items:,} items)"
        for found in compared.tasks
        if found.fell
    ]
    return f"Worse than {who}: {'; '.join(fallen)}." if fallen else None


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


def data_cost_text(cost: DataCost | None) -> str | None:
    """What one accepted training row cost; None if nothing is known of it."""
    if cost is None or not cost.rows:
        return None
    each = usd(cost.usd / cost.rows) if cost.usd else f"{cost.seconds / cost.rows * 1000:,.1f} ms of the machine"
    whole = usd(cost.usd) if cost.usd else f"{cost.seconds:,.0f} s of the machine"
    priced = [one.what for one in cost.spent if one.usd is not None] if cost.usd else []
    paid = priced or ["the teacher's answers"]
    said = f"An accepted training row cost {each}: {' and '.join(paid)} took {whole}, and {cost.rows:,} rows passed."
    others = [f" Not in it: {one.what} ({one.words})." for one in cost.spent if one.what not in paid or one.partial]
    return said + "".join(others)


def estimate_cell(estimate: RatioEstimate) -> str:
    """A ratio with its interval."""
    if estimate.value is None:
        return DASH
    return f"{percent(estimate.value)} ({percent_range(estimate.low, estimate.high)})"


def intervals_text(retention: RatioEstimate, evaluation: EvaluationConfig) -> str:
    """How the intervals were computed."""
    bootstrap = (
        f"a paired Bayesian bootstrap ({evaluation.resamples:,} resamples, seed {evaluation.seed}) with half an unseen "
        "item, which is the worst possible one for the low end, and the best possible one for the high end"
    )
    if retention.resamples == 0:
        return (
            "Intervals of scores, their differences and the retention are score intervals (Wilson, Tango, Nam and "
            "Blackwelder, with corrections for skewness and continuity). That of the gap recovered comes from "
            f"{bootstrap}."
        )
    grouped = (
        f" Items of one group stay together in it; there are {retention.groups:,} groups." if retention.groups else ""
    )
    return (
        f"Intervals come from {bootstrap}.{grouped} A score has a score interval (Wilson's, corrected for skewness and "
        "continuity) if every item scores 0 or 1 and none form groups."
    )


def difference_lines(document: ReportDocument) -> list[tuple[str, str]]:
    """Lines of (label, difference in points with its interval); none of reports of earlier versions."""
    named = (
        ("Student minus teacher, S − T", document.to_teacher),
        ("Student minus baseline, S − B", document.to_baseline),
        ("Student minus gold student, S − G", document.gold_student.difference if document.gold_student else None),
    )
    return [(label, points(found)) for label, found in named if found]


def earlier_text(who: str, compared: AgainstEarlier) -> str:
    """This student against another one, in sentences."""
    alone = (
        f"; {compared.only_now:,} only now and {compared.only_earlier:,} only then are left out"
        if compared.only_now or compared.only_earlier
        else ""
    )
    start = f"Compared with {who}"
    if compared.difference is None:
        return f"{start}: the two have no row in common{alone}."
    p = p_text(compared.difference.p_value)
    return (
        f"{start}, on {compared.common:,} items that both answered{alone}: {points(compared.difference)} points, {p}. "
        "A task has changed if Holm's p-value is below 0.05."
    )
