"""What telemetry sees of a step: its span, its time, and what its worker's result says."""

import contextlib
import time
from collections.abc import Iterator
from dataclasses import dataclass

import dagster as dg

from distill_dagster import telemetry
from distill_dagster.store.result import Result
from distill_dagster.telemetry import OpenSpan, instruments
from distill_dagster.telemetry.instruments import Outcome


@dataclass(slots=True)
class WatchedStep:
    """A step that is under way."""

    span: OpenSpan
    outcome: Outcome = "fresh"

    def made(self, result: Result) -> None:
        """Its artefact was made, and is published."""
        self.outcome = "made"
        instruments.add_rows(result.by_reason())
        if result.usage:
            instruments.add_gpu_seconds(result.usage.gpu_seconds)


@contextlib.contextmanager
def watched(context: dg.AssetExecutionContext, project: str, stage: str, shard: str | None) -> Iterator[WatchedStep]:
    """The work of a step. Alone in its process it also has a span of the run, whose trace has the run's id."""
    run_id = context.run.run_id
    where = telemetry.Whereabouts(project, run_id, stage, shard)
    with telemetry.inside(where), _run(run_id), telemetry.span(stage) as span:
        step, started = WatchedStep(span), time.perf_counter()
        try:
            yield step
        except BaseException:
            step.outcome = "failed"
            raise
        finally:
            span.set({"distill.outcome": step.outcome})
            instruments.add_stage_time(step.outcome, time.perf_counter() - started)


@contextlib.contextmanager
def watched_run(context: dg.AssetExecutionContext, project: str, stage: str) -> Iterator[None]:
    """A run over several shards; the steps of its inner runs lie below it."""
    with telemetry.inside(telemetry.Whereabouts(project, context.run.run_id, stage)), _run(context.run.run_id):
        yield


def _run(run_id: str) -> contextlib.AbstractContextManager[object]:
    """The span of the run, unless one is open: that of `distill-dagster run`, or of a run over several shards."""
    if telemetry.is_inside() or not telemetry.is_on():
        return contextlib.nullcontext()
    return telemetry.root_of("run", run_id.replace("-", ""))
