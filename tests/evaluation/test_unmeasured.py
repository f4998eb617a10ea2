"""What is known of the speed of a model behind an endpoint, even if it answered nothing."""

from distill_dagster.config import EndpointConfig, EvaluationConfig
from distill_dagster.evaluation.endpoint import _measured
from distill_dagster.evaluation.specs import BenchmarkSpec, Measurement
from distill_dagster.models.ref import ModelRef
from distill_dagster.teachers.protocol import Reply


def measured(*replies):
    endpoint = EndpointConfig(url="http://127.0.0.1:1/v1", model="m")
    spec = BenchmarkSpec(
        role="teacher",
        model=ModelRef(name="m", revision="0", endpoint=endpoint),
        rows="rows.parquet",
        max_new_tokens=8,
        evaluation=EvaluationConfig(),
        responses="responses",
        out="out",
    )
    return _measured(spec, endpoint, replies)


def test_without_an_answer_nothing_is_measured():
    found = measured(Reply("h", None, "error", 0, 0, 1.0, error_code="timeout"))
    assert (found.speed.latency_ms.p50, found.speed.latency_ms.p99, found.speed.latencies_ms) == (None, None, [])
    assert (found.speed.requests, found.speed.skipped) == (0, 1)
    assert Measurement.model_validate_json(found.model_dump_json()) == found
    assert "nan" not in found.model_dump_json().lower()


def test_answers_are_timed():
    speed = measured(*(Reply(str(n), "yes", "stop", 3, 1, float(n)) for n in (10, 20, 30))).speed
    assert (speed.latency_ms.p50, speed.latencies_ms, speed.prompt_tokens_mean) == (20.0, [10.0, 20.0, 30.0], 3.0)
