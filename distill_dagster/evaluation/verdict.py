"""What the interval of the retention says about the target: PASS, FAIL, or too few items to tell."""

import math
from dataclasses import dataclass

from distill_dagster.config import VerdictWord
from distill_dagster.evaluation.comparison import RatioEstimate


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
    """About how many items would bring the interval's near end to the target if the estimate stayed where it is.

    An interval's width shrinks with the square root of n. With h the distance from the estimate to the end that
    lies beyond the target, and d the distance from the estimate to the target: n' = n (h / d)^2, rounded up.
    None if the estimate equals the target (no n decides), or the interval has no such end.
    """
    if estimate.value is None or math.isclose(estimate.value, target, abs_tol=1e-12):
        return None
    end = estimate.low if estimate.value > target else estimate.high
    if end is None:
        return None
    needed = math.ceil(estimate.items * ((estimate.value - end) / (estimate.value - target)) ** 2 - 1e-6)
    return max(needed, estimate.items + 1)
