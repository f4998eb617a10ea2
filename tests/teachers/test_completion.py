"""Bodies of responses, as different servers write them."""

import json

import pytest

from distill_dagster.teachers.completion import read_reply
from distill_dagster.teachers.protocol import Request
from distill_dagster.teachers.received import receive
from distill_dagster.teachers.retries import AttemptError

REQUEST = Request("h", [{"role": "user", "content": "twelve chars"}])


def body(message, finish="stop", **fields) -> bytes:
    return json.dumps({"choices": [{"message": message, "finish_reason": finish}], **fields}).encode()


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"<html>",
        b"[]",
        b"null",
        b"\xff\xfe",
        b'{"error": {"message": "upstream"}}',
        b'{"choices": null}',
        b'{"choices": [null]}',
        b'{"choices": [{"message": null, "finish_reason": "stop"}]}',
        b'{"choices": [{"message": {"content": "4"}, "finish_reason": "abort"}]}',
        b'{"choices": [{"message": {"content": null}, "finish_reason": null}]}',
        b'{"choices": [], "usage": 7}',
        b"[" * 100_000,
        b'{"choices": ' + b"9" * 10_000 + b"}",
    ],
)
def test_what_is_no_chat_completion_is_asked_again(content):
    with pytest.raises(AttemptError) as caught:
        read_reply(receive(content), REQUEST)
    assert (caught.value.code, caught.value.passing) == ("bad_response", True)


def test_tokens_are_those_that_the_server_counted_or_else_estimated():
    counted = read_reply(receive(body({"content": "4"}, usage={"prompt_tokens": 9, "completion_tokens": 2})), REQUEST)
    assert (counted.prompt_tokens, counted.completion_tokens) == (9, 2)
    estimated = read_reply(receive(body({"content": "five."}, usage=None)), REQUEST)
    assert (estimated.prompt_tokens, estimated.completion_tokens) == (3, 2)


@pytest.mark.parametrize("number", [b"NaN", b"-Infinity", b"-1e999"])
def test_a_number_that_json_lacks_is_null_in_what_is_kept(number):
    content = body({"content": "4"}).replace(b'"stop"', b'"stop", "logprobs": {"content": [{"logprob": %b}]}' % number)
    assert read_reply(receive(content), REQUEST).logprobs == '{"content":[{"logprob":null}]}'
