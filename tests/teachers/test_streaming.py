"""Streamed answers: put together as if they had come whole, and asked for again if they were cut off."""

import base64
import json

import pytest
from pydantic import ValidationError

from distill_dagster.config import EndpointConfig, GenerationConfig
from distill_dagster.errors import EndpointError, TeacherError
from distill_dagster.teachers.completion import as_text, read_reply
from distill_dagster.teachers.endpoint import ApiTeacher
from distill_dagster.teachers.protocol import Request
from distill_dagster.teachers.received import receive
from distill_dagster.teachers.retries import AttemptError
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


def read(content: bytes, secrets=(), variable=None):
    return read_reply(receive(content), QUESTION, secrets, variable)


def test_events_that_nobody_asked_for_are_read_too():
    content = b": hello\n\n" + events(
        part({"role": "assistant"}), part({"content": "4"}), part({"content": "2"}, "stop")
    )
    assert receive(content).value == {
        "choices": [{"index": 0, "message": {"role": "assistant", "content": "42"}, "finish_reason": "stop"}]
    }


def test_a_body_that_is_no_stream_is_left_as_it_is():
    for content in (b'{"choices": []}', b"", b"<html>", b"\xff"):
        assert not receive(content).is_streamed


@pytest.mark.parametrize(
    "content",
    [
        events(part({"content": "4"}), end=""),
        events(part({"content": "4"}), end="data: {\n\n"),
        events(part({"content": "4"}), end="data: 7\n\n"),
        events(part({"content": "4"}), end=f"data: {'[' * 5000}\n\n"),
        events(part({"content": "4"}), {"error": "gone"}),
        events(part({"content": "4"}, "stop"), {"error": "gone"}),
        events({}, end=""),
        b"data: ",
        b"data: \xff\n\n",
        events({"choices": None}, {"choices": [7]}, {"choices": [{"delta": 3}]}, end=""),
    ],
)
def test_a_broken_stream_is_a_failed_attempt_that_keeps_the_body(content):
    with pytest.raises(AttemptError) as caught:
        read(content)
    assert (caught.value.code, caught.value.passing) == ("bad_response", True)
    assert caught.value.received == as_text(content)


def test_what_half_a_stream_generated_is_paid_for():
    half = part({"content": "four char"})
    for content, usage in (
        (events(half, end=""), (3, 3)),
        (events(half, {"error": "gone"}), (3, 3)),
        (events({**half, "usage": {"prompt_tokens": 7, "completion_tokens": 5}}, end=""), (7, 5)),
        (events({"error": "gone"}), (0, 0)),
    ):
        with pytest.raises(AttemptError) as caught:
            read(content)
        assert caught.value.usage == usage


KEY = "sk-very-secret-0123456789"
ERRORS = {  # an error in a stream: what follows, as for the same error in a plain body
    "rate": ({"message": f"{KEY} is too fast", "code": "rate_limit_exceeded"}, (True, True, None)),
    "rate with a wait": ({"message": "rate limit", "retry_after": 7}, (True, True, 7)),
    "passing": ({"message": f"worker of {KEY} died"}, (True, False, None)),
    "content": ({"message": f"no, {KEY}", "code": "content_filter"}, (False, False, None)),
    "too long": ({"message": "maximum context length is 4096"}, (False, False, None)),
}


@pytest.mark.parametrize("name", ERRORS)
@pytest.mark.parametrize("before", [[], [part({"content": "four char"})]])
def test_an_error_in_a_stream_means_what_it_means_in_a_plain_body(name, before):
    error, follows = ERRORS[name]
    caught = []
    for content in (events(*before, {"error": error}), json.dumps({"error": error}).encode()):
        with pytest.raises(AttemptError) as one:
            read(content, [None, KEY])
        caught.append(one.value)
    streamed, plain = caught
    assert (streamed.passing, streamed.overload, streamed.retry_after_s) == follows
    assert (str(streamed), streamed.code, streamed.retry_after_s) == (str(plain), plain.code, plain.retry_after_s)
    assert KEY not in str(streamed) + str(streamed.received)
    assert streamed.usage == ((3, 3) if before else (0, 0))


@pytest.mark.parametrize(
    ("error", "said"),
    [
        ({"error": {"code": "insufficient_quota", "message": f"pay, {KEY}"}}, "no money left"),
        ({"error": {"code": "invalid_api_key", "message": f"{KEY} is wrong"}}, "MADE_KEY"),
        ({"base_resp": {"status_code": 1008, "status_msg": "insufficient balance"}}, "no money left"),
    ],
)
def test_a_fault_of_the_account_in_a_stream_stops_everything(error, said):
    before = [] if "base_resp" in error else [part({"content": "4"})]
    with pytest.raises(EndpointError, match=said) as caught:
        read(events(*before, error), [KEY], "MADE_KEY")
    assert KEY not in str(caught.value)


@pytest.mark.processes
@pytest.mark.parametrize("stream", [True, False])
def test_a_money_fault_in_a_stream_is_asked_once(server, stream):
    body = {"error": {"code": "insufficient_quota", "message": "no"}}
    content = events(part({"content": "4"}), body) if stream else json.dumps(body).encode()
    server.script(rules=[{"fault": "body", "base64": base64.b64encode(content).decode()}])
    with pytest.raises(EndpointError, match="no money left"):
        ask_one(server, stream=stream, attempts=6)
    assert server.counts()["total"] == 1


def thinking(*texts):
    return [{"type": "thinking", "thinking": [{"type": "text", "text": text} for text in texts]}]


TEXT = [{"type": "text", "text": "2"}]
REFERENCE = [{"type": "reference", "reference_ids": [1]}]
MIXED = {  # deltas of the content: (text, thoughts)
    "a reference between texts": (["4", REFERENCE, "2"], "42", None),
    "an empty list at the end": (["4", "2", []], "42", None),
    "a list, then a text": ([TEXT, "4"], "24", None),
    "a text, then a list": (["4", TEXT], "42", None),
    "a part without a list": (["4", TEXT[0], "2"], "422", None),
    "a number": (["4", 7, "2"], "42", None),
    "Mistral: thoughts, then text": ([thinking("a"), thinking(" b"), "4", "2"], "42", "a b"),
    "empty texts between thoughts": (["", thinking("a"), "", thinking(" b"), "42"], "42", "a b"),
}


@pytest.mark.parametrize("name", MIXED)
def test_no_text_is_lost_where_deltas_change_their_type(name):
    deltas, text, thoughts = MIXED[name]
    content = events(*(part({"content": delta}) for delta in deltas), part({}, "stop"))
    reply = read(content)
    assert (reply.text, reply.reasoning) == (text, thoughts)
    assert reply.received == content.decode(), "the events are kept as they came"


def test_thoughts_that_change_their_type_are_not_lost_either():
    deltas = [{"reasoning": "a"}, {"reasoning": [{"type": "text", "text": " b"}]}, {"reasoning": " c", "content": "4"}]
    reply = read(events(*map(part, deltas), part({}, "stop")))
    assert (reply.text, reply.reasoning) == ("4", "a b c")
    assert reply.received is not None


@pytest.mark.parametrize("field", ["content", "reasoning_details", "thinking_blocks", "reasoning"])
def test_pieces_of_a_thought_are_joined_without_a_gap(field):
    pieces = [thinking("Add"), thinking(" "), thinking("2\n"), thinking("and 2")]
    last = {"content": [{"type": "text", "text": "4"}]}
    content = events(*(part({field: piece}) for piece in pieces), part(last, "stop"))
    reply = read(content)
    assert (reply.text, reply.reasoning) == ("4", "Add 2\nand 2")
    assert reply.received is None


def test_thoughts_before_and_behind_a_text_stay_apart():
    deltas = [thinking("a"), TEXT, thinking("b"), thinking("c")]
    assert read(events(*(part({"content": one}) for one in deltas), part({}, "stop"))).reasoning == "a\n\nbc"


def test_log_probabilities_of_any_shape_are_continued():
    tokens = [[{"token": "4", "logprob": -0.5}], [{"token": "2", "logprob": -0.25}]]
    for shape in (lambda one: {"content": one, "refusal": None}, lambda one: one):
        chunks = [
            {"choices": [{"delta": {"content": text}, "logprobs": shape(one)}]}
            for text, one in zip("42", tokens, strict=True)
        ]
        reply = read(events(*chunks, part({}, "stop")))
        assert json.loads(reply.logprobs or "") == shape(tokens[0] + tokens[1])


def test_a_tool_call_in_pieces_keeps_the_events():
    pieces = [{"function_call": {"name": "f"}}, {"function_call": {"arguments": "{}"}}, {"content": "4"}]
    content = events(*map(part, pieces), part({}, "stop"))
    assert read(content).received == content.decode()


def test_odd_parts_are_joined_without_a_fault():
    odd = [part({"content": [{"type": "text", "text": "4"}]}), part({"content": None}), part({"content": "2"}, "stop")]
    body = receive(events(*odd, {"usage": {"prompt_tokens": 1}, "choices": []})).value
    assert body["usage"] == {"prompt_tokens": 1}
    other = {"choices": [{"index": 1, "delta": {"content": "another answer"}}]}
    assert "another" not in str(receive(events(part({"content": "4"}, "stop"), other)).value)


@pytest.mark.parametrize("field", ["stream", "stream_options"])
def test_a_stream_as_an_extra_field_is_refused(field):
    with pytest.raises(ValidationError, match="use `stream: true`"):
        EndpointConfig(url="http://host/v1", model="m", extra_body={field: True})
