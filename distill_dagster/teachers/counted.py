"""Asks a teacher, and counts its replies for telemetry, if that is on."""

from collections.abc import Callable, Sequence

from distill_dagster import telemetry
from distill_dagster.teachers.protocol import Reply, Request, Teacher
from distill_dagster.telemetry.calls import calls_to


def answer_counted(teacher: Teacher, requests: Sequence[Request], record: Callable[[Reply], None], role: str) -> None:
    """`teacher.answer(requests, record)`; `role` says what for: teacher, judge, or the role of a benchmark.

    Replies count when they come, so that those of a shard that fails later count too.
    """
    if not telemetry.is_on():
        teacher.answer(requests, record)
        return
    with calls_to(teacher.name, role, teacher.host) as calls:

        def counted(reply: Reply) -> None:
            tokens, error = (reply.prompt_tokens, reply.completion_tokens), None if reply.ok else reply.error_code
            calls.add(*tokens, reply.cost_usd, reply.latency_ms, error if reply.ok else error or "unknown")
            record(reply)

        teacher.answer(requests, counted)
