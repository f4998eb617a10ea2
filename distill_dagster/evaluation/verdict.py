"""What the interval of the retention says about the target: PASS, FAIL, or too few items to tell."""

import math
from dataclasses import dataclass

from distill_dagster.config import VerdictWord
from distill_dagster.evaluation.comparison import RatioEstimate
from distill_dagster.evaluation.score_intervals import Z

POWER_Z = 0.8416212335729143  # the 80th percentile of the normal distribution


@dataclass(frozen=True, slots=True)
class Decision:
    """The outcome and its reason. `items_needed` is None if no number of items would decide, or none is needed."""

    outcome: VerdictWord
    reason: str
    items_needed: int | None = None


def decide(estimate: RatioEstimate, target: float) -> Decision:
    """PASS if the whole interval is at or above the target, FAIL if all of it is below, else INCONCLUSIVE."""
    if estimate.value is None or estimate.low is None or estimate.high is None:
        reason = estimate.reason or "the interval has no ends"
        return Decision("INCONCLUSIVE", reason, items_to_decide(estimate, target))
    if estimate.low >= target:
        return Decision("PASS", "the whole interval is at or above the target")
    if estimate.high < target:
        return Decision("FAIL", "the whole interval is below the target")
    return Decision("INCONCLUSIVE", "the interval contains the target", items_to_decide(estimate, target))


def items_to_decide(estimate: RatioEstimate, target: float) -> int | None:
    """About how many items decide with a probability of 80 %, if the true value is the estimate.

    An interval's width shrinks with the square root of n. With h the distance from the estimate to the end that
    lies beyond the target, and d the distance from the estimate to the target, n (h / d)^2 items would bring the end
    of an interval around this estimate to the target; the next estimate lies below it as often as above, so that this
    decides half of the time. For a power of 80 % the distance is (1.96 + 0.84) / 1.96 times as long:
    n' = 2.04 n (h / d)^2, rounded up. Groups are expected to be as large as they are.
    None if the estimate equals the target (no n decides), or the interval has no such end.
    """
    if estimate.value is None or math.isclose(estimate.value, target, abs_tol=1e-12):
        return None
    end = estimate.low if estimate.value > target else estimate.high
    if end is None:
        return None
    wider = (estimate.value - end) / (estimate.value - target)
    needed = math.ceil(estimate.items * (wider * (Z + POWER_Z) / Z) ** 2 - 1e-6)
    return max(needed, estimate.items + 1)
