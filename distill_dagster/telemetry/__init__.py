"""What a project tells other systems while it works: OpenTelemetry spans and metrics, and logs as JSON lines.

    with span("teacher_outputs", {"distill.shard": "train-part-03"}) as step:
        step.set({"distill.outcome": "made"})

Nothing is sent, and nothing of OpenTelemetry is imported, unless OTEL_EXPORTER_OTLP_ENDPOINT is set (switch.py). A
collector that is away, or slow, neither slows nor fails a run (pipeline.py). No attribute and no name holds text of a
prompt or an answer, or a key: attributes are names, numbers and reason slugs. docs/telemetry.md lists all of them.
"""

from distill_dagster.telemetry.pipeline import flush
from distill_dagster.telemetry.spans import OpenSpan, handed, is_inside, root_of, span
from distill_dagster.telemetry.switch import is_on
from distill_dagster.telemetry.where import Whereabouts, here, inside

__all__ = ["OpenSpan", "Whereabouts", "flush", "handed", "here", "inside", "is_inside", "is_on", "root_of", "span"]
