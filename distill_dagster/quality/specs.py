"""What the worker that builds the validated set takes."""

from distill_dagster.config import Learn, QualityConfig
from distill_dagster.store.result import Spec


class SetSpec(Spec):
    """set"""

    rows: list[str]
    answers: list[str]
    test: str
    quality: QualityConfig
    learn: Learn
    out: str
