"""Whether the gap recovered says anything.

    baseline    cut off 200 of 200, score 0       (S - 0) / (T - 0) is the retention once more: not shown
    baseline    cut off 3 of 200, score 0.31      (S - 0.31) / (T - 0.31)

A baseline that never ends an answer scores 0 whatever it knows. Its gap would look like a second finding and be none.
"""

from dataclasses import replace

from distill_dagster.evaluation.comparison import Comparison
from distill_dagster.evaluation.specs import Benchmark


def with_shown_gap(compared: Comparison, baseline: Benchmark) -> Comparison:
    """The comparison, without the gap recovered if every answer of the baseline was cut off."""
    if not baseline.predictions or baseline.truncated < baseline.predictions:
        return compared
    reason = (
        f"all {baseline.predictions:,} answers of the baseline were cut off at {baseline.max_new_tokens:,} tokens and "
        "score 0, so the gap recovered would only repeat the retention"
    )
    empty = {"value": None, "low": None, "high": None, "reason": reason}
    return replace(compared, gap_recovered=compared.gap_recovered.model_copy(update=empty))
