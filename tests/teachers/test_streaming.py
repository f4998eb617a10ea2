"""Streamed answers: put together as if they had come whole, and asked for again if they were cut off."""

import json

import pytest
from pydantic import ValidationError

from distill_dagster.config import EndpointConfig, GenerationConfig
from distill_dagster.errors import TeacherError
from distill_dagster.teachers.endpoint import ApiTeacher
from distill_dagster.teachers.protocol import Request
from distill_dagster.teachers.retries import AttemptError
from distill_dagster.teachers.streaming import whole_answer
from testing.made_answers import answer_to

QUESTION = Request("h", [{"role": "user", "content": "two words"}])
PRICE = {"prompt": 1_000_000, "completion": 1_000_000}


def ask_one(server, **endpoint):
    replies = []
    settings = {"url": server.url, "model": "made", "attempts": 1, **endpoint}
    ApiTeacher(EndpointConfig(**settings), GenerationConfig()).answer([QUESTION], replies.append)
    return replies[0]._replace(latency_ms=0)


def both(server, **endpoint):
    return [ask_one(server, stream=stream, **endpoint) for stream in (False, True)]


@pytest.mark.parametrize(
    "rule",
    [
        {},
        {"fault": "say", "text": "cut he", "finish_reason": "length"},
        {"fault": "say", "text": "日本語 and «more»\r\n\ndata: x"},
        {"fault": "message", "message": {"reasoning_content": "2 and 2"}},
        {"fault": "null_content", "finish_reason": "content_filter"},
        {"fault": "no_done"},
    ],
)
def test_a_streamed_reply_is_the_same_as_a_whole_one(server, rule):
    server.script(rules=[rule] if rule else [])
    whole, streamed = both(server, price=PRICE, top_logprobs=0 if rule.get("fault") == "null_content" else 2)
    assert streamed._replace(received=None) == whole._replace(received=None)  # the body as it came
    assert streamed.prompt_tokens > 0
    body = server.counts()["last_body"]
    assert (body["stream"], body["stream_options"]) == (True, {"include_usage": True})


def test_without_stream_options_the_tokens_are_estimated(server):
    reply = ask_one(server, stream=True, parameters={"stream_options": "omit"})
    assert "stream_options" not in server.counts()["last_body"]
    assert (reply.prompt_tokens, reply.completion_tokens) == (3, 4)


@pytest.mark.parametrize("fault", ["cut", "end_early", "stream_error"])
def test_a_stream_that_is_cut_off_is_asked_for_again(server, fault):
    server.script(rules=[{"fault": fault, "times": 1}])
    reply = ask_one(server, stream=True, attempts=3)
    assert (reply.text, reply.attempts) == (answer_to(QUESTION.messages), 2)
    assert server.counts()["total"] == 2


@pytest.mark.parametrize("fault", ["cut", "end_early", "stream_error"])
def test_half_an_answer_is_never_stored(server, fault):
    server.script(rules=[{"fault": fault}])
    reply = ask_one(server, stream=True, attempts=2, price=PRICE)
    assert (reply.ok, reply.text) == (False, None)
    assert reply.error_code in ("connection", "bad_response")
    if fault != "cut":
        assert reply.cost_usd > 0, "what was generated is paid for"


def test_a_model_that_only_streams_is_named_with_its_setting(server):
    server.script(stream_only=True)
    with pytest.raises(TeacherError, match=r"answers only as a stream[\s\S]*stream: true$"):
        ask_one(server)
    assert server.counts()["total"] == 1
    assert ask_one(server, stream=True).ok


def test_refused_stream_options_are_named(server):
    server.script(refuses={"stream_options": []})
    with pytest.raises(TeacherError, match=r"parameters: \{stream_options: omit\}"):
        ask_one(server, stream=True)


def events(*chunks, end="data: [DONE]\n\n") -> bytes:
    return ("".join(f"data: {json.dumps(chunk)}\n\n" for chunk in chunks) + end).encode()


def part(delta, finish=None, **fields):
    return {"choices": [{"index": 0, "delta": delta, "finish_reason": finish}], **fields}


def test_events_that_nobody_asked_for_are_read_too():
    content = b": hello\n\n" + events(
        part({"role": "assistant"}), part({"content": "4"}), part({"content": "2"}, "stop")
    )
    assert json.loads(whole_answer(content, QUESTION)) == {
        "choices": [{"index": 0, "message": {"role": "assistant", "content": "42"}, "finish_reason": "stop"}]
    }


def test_a_body_that_is_no_stream_is_left_as_it_is():
    for content in (b'{"choices": []}', b"", b"<html>", b"\xff"):
        assert whole_answer(content, QUESTION) == content


@pytest.mark.parametrize(
    "content",
    [
        events(part({"content": "4"}), end=""),
        events(part({"content": "4"}), end="data: {\n\n"),
        events(part({"content": "4"}), end="data: 7\n\n"),
        events(part({"content": "4"}), {"error": "gone"}),
        events({}, end=""),
        b"data: ",
        b"data: \xff\n\n",
        events({"choices": None}, {"choices": [7]}, {"choices": [{"delta": 3}]}, end=""),
    ],
)
def test_a_broken_stream_is_a_failed_attempt(content):
    with pytest.raises(AttemptError) as caught:
        whole_answer(content, QUESTION)
    assert (caught.value.code, caught.value.passing) == ("bad_response", True)


def test_odd_parts_are_joined_without_a_fault():
    odd = [part({"content": [{"type": "text", "text": "4"}]}), part({"content": None}), part({"content": "2"}, "stop")]
    body = json.loads(whole_answer(events(*odd, {"usage": {"prompt_tokens": 1}, "choices": []}), QUESTION))
    assert body["usage"] == {"prompt_tokens": 1}
    other = {"choices": [{"index": 1, "delta": {"content": "another answer"}}]}
    assert b"another" not in whole_answer(events(part({"content": "4"}, "stop"), other), QUESTION)


@pytest.mark.parametrize("field", ["stream", "stream_options"])
def test_a_stream_as_an_extra_field_is_refused(field):
    with pytest.raises(ValidationError, match="use `stream: true`"):
        EndpointConfig(url="http://host/v1", model="m", extra_body={field: True})
