"""Token counts as servers give them."""

import json

import pytest

from distill_dagster.teachers.completion import read_reply
from distill_dagster.teachers.protocol import Request
from distill_dagster.teachers.received import receive
from distill_dagster.teachers.retries import AttemptError
from distill_dagster.teachers.usage import billed_tokens

REQUEST = Request("h", [{"role": "user", "content": "twelve chars"}])

USAGES = [
    ({"prompt_tokens": 9, "completion_tokens": 2, "total_tokens": 11}, (9, 2)),
    ({"prompt_tokens": 36, "completion_tokens": 10, "total_tokens": 736}, (36, 700)),
    ({"prompt_tokens": 690, "completion_tokens": 10, "total_tokens": 736}, (690, 46)),
    ({"prompt_tokens": 9, "completion_tokens": 2, "completion_tokens_details": {"reasoning_tokens": 40}}, (9, 42)),
    ({"prompt_tokens": 9, "completion_tokens": 42, "completion_tokens_details": {"reasoning_tokens": 40}}, (9, 42)),
    ({"prompt_tokens": 9, "completion_tokens": 2, "reasoning_tokens": 40}, (9, 42)),
    # Perplexity's deep research: thoughts outside the total, and texts that its search put into the prompt
    (
        {"prompt_tokens": 33, "completion_tokens": 7163, "total_tokens": 7196, "reasoning_tokens": 73997},
        (33, 81160),
    ),
    (
        {"prompt_tokens": 33, "completion_tokens": 9, "total_tokens": 42, "citation_tokens": 20, "reasoning_tokens": 5},
        (53, 14),
    ),
    (
        {
            "prompt_tokens": 9,
            "completion_tokens": 2,
            "total_tokens": 11,
            "completion_tokens_details": {"reasoning_tokens": 40},
        },
        (9, 42),
    ),
    ({"prompt_tokens": 9, "completion_tokens": 2, "total_tokens": 51, "reasoning_tokens": 40}, (9, 42)),
    ({"prompt_tokens": 9, "completion_tokens": 42, "total_tokens": 51, "reasoning_tokens": 40}, (9, 42)),
    ({"prompt_tokens": 2**31 - 1, "completion_tokens": 2, "citation_tokens": 9}, (2**31 - 1, 2)),
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


@pytest.mark.parametrize(
    ("usage", "tokens"),
    [
        ({"total_tokens": 736}, (3, 733)),
        ({"total_tokens": "736"}, (3, 733)),
        ({"total_tokens": 736, "reasoning_tokens": 40}, (3, 733)),
        ({"total_tokens": 5}, (3, 2)),
        ({"total_tokens": 1}, (3, 2)),
        ({"total_tokens": -1}, (3, 2)),
    ],
)
def test_of_a_total_alone_all_but_the_prompt_is_completion(usage, tokens):
    content = json.dumps({"choices": [{"message": {"content": "five."}, "finish_reason": "stop"}], "usage": usage})
    reply = read_reply(receive(content.encode()), REQUEST)
    assert (reply.prompt_tokens, reply.completion_tokens, reply.estimated) == (*tokens, True)


@pytest.mark.parametrize("content", [None, "half an"])
def test_a_total_alone_counts_for_an_answer_that_broke_off(content):
    choice = {"message": {"content": content}, "finish_reason": "error"}
    body = json.dumps({"choices": [choice], "usage": {"total_tokens": 736}}).encode()
    with pytest.raises(AttemptError) as caught:
        read_reply(receive(body), REQUEST)
    assert caught.value.usage == (3, 733)


@pytest.mark.parametrize("usage", [{"total_tokens": 736}, {"reasoning_tokens": 730}])
def test_a_stream_is_billed_like_any_other_body(usage):
    events = [{"choices": [{"delta": {"content": "five."}, "finish_reason": "stop"}]}, {"choices": [], "usage": usage}]
    body = "".join(f"data: {json.dumps(event)}\n\n" for event in events) + "data: [DONE]\n\n"
    assert sum(read_reply(receive(body.encode()), REQUEST)[3:5]) >= 730


def test_an_empty_answer_of_no_tokens_is_not_estimated():
    content = b'{"choices": [{"message": {"content": ""}, "finish_reason": "stop"}], "usage": {"prompt_tokens": 9}}'
    reply = read_reply(receive(content), REQUEST)
    assert (reply.prompt_tokens, reply.completion_tokens, reply.estimated) == (9, 0, False)
