"""Whether telemetry is on, and that it says once why it is off, also in JSON lines, which ask for the trace."""

import io
import json
import logging

import pytest

from distill_dagster import telemetry
from distill_dagster.telemetry import instruments, pipeline, switch
from distill_dagster.telemetry.logs import JsonLines
from distill_dagster.telemetry.switch import DISABLED, ENDPOINT, METRICS, OWN, PROTOCOL, TRACES

NOBODY = "http://127.0.0.1:1"
CACHES = (switch._why_not, pipeline.own_pipeline, instruments._counter, instruments._histogram)


@pytest.fixture(autouse=True)
def new(monkeypatch):
    """As in a process that has just begun, without the variables."""
    for name in (ENDPOINT, DISABLED, PROTOCOL, TRACES, METRICS, *OWN, "TRACEPARENT", "DISTILL_WHERE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(switch, "_said", set())
    monkeypatch.setattr(switch, "_broken", [])
    for cached in CACHES:
        cached.cache_clear()
    yield
    for cached in CACHES:
        cached.cache_clear()


@pytest.fixture
def lines():
    """What the root logger writes as JSON lines."""
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(JsonLines())
    logging.getLogger().addHandler(handler)
    yield lambda: [json.loads(line)["message"] for line in stream.getvalue().splitlines()]
    logging.getLogger().removeHandler(handler)


@pytest.mark.parametrize(
    ("variables", "said"),
    [
        ({ENDPOINT: NOBODY}, None),
        ({ENDPOINT: NOBODY, DISABLED: "True"}, ""),
        ({ENDPOINT: NOBODY, PROTOCOL: "grpc"}, "this package sends http/protobuf"),
        ({ENDPOINT: NOBODY, TRACES: "none"}, None),
        ({ENDPOINT: NOBODY, TRACES: "none", METRICS: "None"}, ""),
        ({PROTOCOL: "http/protobuf"}, ""),
    ],
)
def test_when_it_is_on(variables, said, monkeypatch, lines):
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert telemetry.is_on() == (said is None)
    assert telemetry.is_on() == (said is None)
    assert [said in line for line in lines()] == ([True] if said else [])


def test_a_missing_extra_is_said_once_in_json_lines(monkeypatch, lines):
    monkeypatch.setenv(ENDPOINT, NOBODY)
    monkeypatch.setattr(switch, "_is_there", lambda package: False)
    assert not telemetry.is_on()
    assert telemetry.handed() == {}
    (line,) = lines()
    assert "`distill-dagster[otel]` is not installed" in line


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("OTEL_BSP_MAX_QUEUE_SIZE", "256"),  # less than the size of a batch
        ("OTEL_METRIC_EXPORT_INTERVAL", "0"),
    ],
)
def test_a_wrong_variable_of_opentelemetry_turns_it_off_and_the_work_goes_on(name, value, monkeypatch, lines):
    monkeypatch.setenv(ENDPOINT, NOBODY)
    monkeypatch.setenv(name, value)
    for _ in range(2):
        with telemetry.span("work") as span:
            span.set({"distill.outcome": "made"})
        instruments.add_rows({"accepted": 1})
        instruments.add_wait("device", 1.0)
        telemetry.flush()
    assert not telemetry.is_on()
    assert ["OpenTelemetry cannot be started" in line for line in lines()] == [True]


@pytest.mark.parametrize("none", [TRACES, METRICS])
def test_an_exporter_that_is_none_is_not_made(none, monkeypatch):
    monkeypatch.setenv(none, "none")
    made = (pipeline._processors(), pipeline._readers())
    assert [len(things) for things in made] == [none != TRACES, none != METRICS]
    for thing in (*made[0], *made[1]):
        thing.shutdown()


def test_workers_elsewhere_get_this_package_s_own_variables(monkeypatch):
    own = {"DISTILL_TRACED_REQUESTS": "0.5", "DISTILL_LOG_FORMAT": "json"}
    for name, value in own.items():
        monkeypatch.setenv(name, value)
    assert telemetry.handed() == own, "pods of a cluster log as JSON without telemetry too"
    monkeypatch.setenv(ENDPOINT, NOBODY)
    assert telemetry.handed() == own
    assert telemetry.handed(far=True) == {**own, ENDPOINT: NOBODY}
