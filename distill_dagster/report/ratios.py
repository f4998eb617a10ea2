"""How many times smaller and faster the student is than the teacher: counts, and what the rounds of timing say."""

from collections.abc import Mapping

from distill_dagster.config import Role
from distill_dagster.evaluation.specs import Benchmark
from distill_dagster.evaluation.speed.specs import Measure, SpeedDocument
from distill_dagster.report.document import Ratios


def ratios_of(benchmarks: Mapping[Role, Benchmark], speed: SpeedDocument | None) -> Ratios:
    """Teacher over student for what should be small, student over teacher for tokens per second."""
    teacher, student = benchmarks["teacher"], benchmarks["student"]
    theirs, ours = (speed.model(role) if speed else None for role in ("teacher", "student"))

    def timed(measure: Measure) -> float | None:
        ratio = speed.ratio(measure) if speed else None
        return ratio.value if ratio else None

    return Ratios(
        parameters=_times(student.parameters, teacher.parameters),
        latency=timed("latency"),
        latency_p50=timed("latency"),
        latency_p95=timed("latency_p95"),
        latency_p99=None,  # a round has too few requests for it
        first_token=timed("first_token"),
        tokens_per_second=timed("tokens_per_second"),
        peak_memory=_times(ours.memory.peak_bytes, theirs.memory.peak_bytes) if ours and theirs else None,
        weights=_times(ours.memory.weight_bytes, theirs.memory.weight_bytes) if ours and theirs else None,
        bytes_on_disk=_times(student.bytes_on_disk, teacher.bytes_on_disk),
    )


def _times(ours: float | None, theirs: float | None) -> float | None:
    return theirs / ours if ours and theirs else None
