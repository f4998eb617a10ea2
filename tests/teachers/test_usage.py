"""Token counts as servers give them."""

import json

import pytest

from distill_dagster.teachers.completion import read_reply
from distill_dagster.teachers.protocol import Request
from distill_dagster.teachers.received import receive
from distill_dagster.teachers.usage import billed_tokens

REQUEST = Request("h", [{"role": "user", "content": "twelve chars"}])

USAGES = [
    ({"prompt_tokens": 9, "completion_tokens": 2, "total_tokens": 11}, (9, 2)),
    ({"prompt_tokens": 36, "completion_tokens": 10, "total_tokens": 736}, (36, 700)),
    ({"prompt_tokens": 690, "completion_tokens": 10, "total_tokens": 736}, (690, 46)),
    ({"prompt_tokens": 9, "completion_tokens": 2, "completion_tokens_details": {"reasoning_tokens": 40}}, (9, 42)),
    ({"prompt_tokens": 9, "completion_tokens": 42, "completion_tokens_details": {"reasoning_tokens": 40}}, (9, 42)),
    ({"prompt_tokens": 9, "completion_tokens": 2, "reasoning_tokens": 40}, (9, 42)),
    ({"input_tokens": 9, "output_tokens": 2}, (9, 2)),
    ({"prompt_tokens": "9", "completion_tokens": "2"}, (9, 2)),
    ({"prompt_tokens": 9.0, "completion_tokens": 2.0}, (9, 2)),
    ({"completion_tokens": 2, "total_tokens": 11}, (9, 2)),
    ({"prompt_tokens": 9, "total_tokens": 11}, (9, 2)),
    ({"prompt_tokens": 9, "completion_tokens": 2, "total_tokens": 0}, (9, 2)),
    ({"prompt_tokens": {"text": 9}, "completion_tokens": {"text": 2}}, (None, None)),
    ({"prompt_tokens": [9], "completion_tokens": True}, (None, None)),
    ({"prompt_tokens": -1, "completion_tokens": 1e300}, (None, None)),
    ({"prompt_tokens": "nine", "completion_tokens": "²"}, (None, None)),
    (None, (None, None)),
    ("9", (None, None)),
    ([], (None, None)),
]


@pytest.mark.parametrize(("usage", "tokens"), USAGES)
def test_the_tokens_that_are_billed(usage, tokens):
    assert billed_tokens(usage) == tokens


@pytest.mark.parametrize(("usage", "tokens"), USAGES)
def test_tokens_that_were_not_counted_are_estimated_with_the_thoughts_and_marked(usage, tokens):
    message = {"content": "five.", "reasoning_content": "seven more."}
    content = json.dumps({"choices": [{"message": message, "finish_reason": "stop"}], "usage": usage}).encode()
    reply = read_reply(receive(content), REQUEST)
    assert (reply.prompt_tokens, reply.completion_tokens) == (tokens[0] or 3, tokens[1] or 4)
    assert reply.estimated == (None in tokens)


def test_an_empty_answer_of_no_tokens_is_not_estimated():
    content = b'{"choices": [{"message": {"content": ""}, "finish_reason": "stop"}], "usage": {"prompt_tokens": 9}}'
    reply = read_reply(receive(content), REQUEST)
    assert (reply.prompt_tokens, reply.completion_tokens, reply.estimated) == (9, 0, False)
