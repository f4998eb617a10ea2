"""The spans of requests: one for each that was sent, without any word of the server."""

import atexit

import pytest

from distill_dagster import telemetry
from distill_dagster.errors import BudgetError
from distill_dagster.teachers.counted import answer_counted
from distill_dagster.telemetry import instruments, pipeline
from distill_dagster.telemetry.switch import METRICS, SHARE
from testing.endpoint_teacher import questions, teacher_at
from testing.otlp_collector import Collector
from testing.waiting import wait_for

KEY = "sk-made-0123456789abcdefghij"


@pytest.fixture
def collector(monkeypatch):
    """A collector to which this process sends every request as a span."""
    cached = (pipeline.own_pipeline, instruments._counter, instruments._histogram)
    for cache in cached:
        cache.cache_clear()
    with Collector() as value:
        for name, text in {**value.environment, METRICS: "none", SHARE: "1", "MADE_KEY": KEY}.items():
            monkeypatch.setenv(name, text)
        yield value
        opened = pipeline.own_pipeline()
        opened.close()
        pipeline._opened.remove(opened)
        atexit.unregister(opened.close)
    for cache in cached:
        cache.cache_clear()


def requests_of(collector: Collector) -> list:
    """The spans of the requests of one group."""
    telemetry.flush()
    (group,) = wait_for(
        lambda: [span for span in collector.spans if "distill.requests" in span.attributes], "the span of the group"
    )
    return [span for span in collector.spans if span.parent_id == group.span_id]


@pytest.mark.parametrize(("finish", "shown"), [("length", "length"), ("eos", "stop"), (KEY, "other"), ("ba", "other")])
def test_the_words_of_a_server_are_not_in_a_span(finish, shown, collector, fault_server):
    fault_server.script(key=KEY, rules=[{"fault": "say", "text": "4", "finish_reason": finish}])
    replies = []
    answer_counted(teacher_at(fault_server, api_key="MADE_KEY"), questions(1), replies.append, "teacher")
    (span,) = requests_of(collector)
    assert [value.string_value for value in span.attributes["gen_ai.response.finish_reasons"].values] == [shown]
    assert replies[0].text == "4"
    for body in collector.bodies:
        assert KEY.encode() not in body


def test_a_request_that_was_never_sent_has_no_span(collector, fault_server):
    fault_server.script(latency=0.02)
    recorded = []

    def record(reply) -> None:
        recorded.append(reply)
        if len(recorded) == 5:
            raise BudgetError("spent")

    with pytest.raises(BudgetError):
        answer_counted(teacher_at(fault_server, concurrency=4), questions(50), record, "teacher")
    spans = requests_of(collector)
    assert len(spans) == fault_server.counts()["total"] < 50
    assert {span.attributes.get("error.type") for span in spans} == {None}
