"""How many times smaller and faster the student is than the teacher, if both were measured alike."""

from collections.abc import Mapping

from distill_dagster.config import Role
from distill_dagster.evaluation.specs import Benchmark
from distill_dagster.report.document import Ratios


def same_machine(benchmarks: Mapping[Role, Benchmark]) -> bool:
    """Whether teacher and student were measured on equal devices and threads, so that their speeds are comparable."""
    teacher, student = (
        (hardware.device.partition(":")[0], hardware.name, hardware.threads)
        for hardware in (benchmarks["teacher"].hardware, benchmarks["student"].hardware)
    )
    return teacher == student


def ratios_of(benchmarks: Mapping[Role, Benchmark]) -> Ratios:
    """Teacher over student for what should be small, student over teacher for tokens per second."""
    teacher, student = benchmarks["teacher"], benchmarks["student"]
    alike = same_machine(benchmarks)
    ours, theirs = student.speed, teacher.speed

    def timed(student_value: float | None, teacher_value: float | None) -> float | None:
        return _times(student_value, teacher_value) if alike else None

    return Ratios(
        parameters=_times(student.parameters, teacher.parameters),
        latency=timed(ours.latency_ms.p50, theirs.latency_ms.p50),
        latency_p50=timed(ours.latency_ms.p50, theirs.latency_ms.p50),
        latency_p95=timed(ours.latency_ms.p95, theirs.latency_ms.p95),
        latency_p99=timed(ours.latency_ms.p99, theirs.latency_ms.p99),
        first_token=timed(ours.first_token_ms.p50, theirs.first_token_ms.p50),
        tokens_per_second=timed(theirs.tokens_per_second, ours.tokens_per_second),
        peak_memory=timed(student.memory.peak_bytes, teacher.memory.peak_bytes),
        weights=_times(student.memory.weight_bytes, teacher.memory.weight_bytes),
        bytes_on_disk=_times(student.bytes_on_disk, teacher.bytes_on_disk),
    )


def _times(ours: float | None, theirs: float | None) -> float | None:
    return theirs / ours if ours and theirs else None
