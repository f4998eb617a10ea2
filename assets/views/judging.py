"""The metadata that the UI shows of a judge's word."""

from typing import Any

import dagster as dg

from distill_dagster.assets.views.tables import usage_of
from distill_dagster.evaluation.judging.specs import JudgeResult
from distill_dagster.store.manifest import Manifest


def judgement_view(manifest: Manifest) -> dict[str, Any]:
    """The share of prompts that the student wins, the counts, and the canaries."""
    result = manifest.read(JudgeResult)
    numbers = {"student_wins": result.score, "student_wins_low": result.low, "student_wins_high": result.high}
    return {
        "judge": result.judge,
        "trusted": result.trusted,
        **({"reason": result.reason} if result.reason else {}),
        **{name: value for name, value in numbers.items() if value is not None},
        **result.counts.model_dump(),
        "canaries": dg.MetadataValue.json([canary.model_dump() for canary in result.canaries]),
        **usage_of(result, "not known"),
    }
