"""What the worker that writes the report takes."""

from typing import Any

from distill_dagster.config import EvaluationConfig
from distill_dagster.store.result import Spec


class ReportSpec(Spec):
    """report"""

    project: str
    benchmarks: dict[str, str]
    history: str
    rows: str
    config: EvaluationConfig
    lineage: dict[str, Any]
    out: str
