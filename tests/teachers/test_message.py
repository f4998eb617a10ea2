"""Messages as servers write them: text, thoughts and refusals are read by the type of each part."""

import json

import pytest

from distill_dagster.teachers.completion import read_reply
from distill_dagster.teachers.protocol import Request
from distill_dagster.teachers.received import receive
from distill_dagster.teachers.retries import AttemptError

REQUEST = Request("h", [{"role": "user", "content": "twelve chars"}])
NEIN = "Das mache ich nicht."


def part(kind, **fields):
    return {"type": kind, **fields}


MESSAGES = {  # whose: (message, text, reasoning, end)
    "OpenAI, plain": ({"content": "4"}, "4", None, "stop"),
    "OpenAI, text parts": ({"content": [part("text", text="4"), part("text", text="2")]}, "42", None, "stop"),
    "Responses, output text": ({"content": [part("output_text", text="4", annotations=[])]}, "4", None, "stop"),
    "Assistants, a value": ({"content": [part("text", text={"value": "4", "annotations": []})]}, "4", None, "stop"),
    "Mistral, thinking": (
        {"content": [part("thinking", thinking=[part("text", text="2 + 2")], closed=True), part("text", text="4")]},
        "4",
        "2 + 2",
        "stop",
    ),
    "Anthropic, thinking": (
        {"content": [part("thinking", thinking="2 + 2", signature="s"), part("text", text="4")]},
        "4",
        "2 + 2",
        "stop",
    ),
    "Anthropic, redacted": (
        {"content": [part("redacted_thinking", data="xx"), part("text", text="4")]},
        "4",
        None,
        "stop",
    ),
    "Cohere, thinking and text": (
        {"content": [part("thinking", thinking="2 + 2"), part("text", text="4")], "tool_plan": None},
        "4",
        "2 + 2",
        "stop",
    ),
    "Responses, a message": (
        {"content": [part("reasoning", summary=[]), part("message", content=[part("output_text", text="4")])]},
        "4",
        None,
        "stop",
    ),
    "Cohere, a type in capitals": ({"content": [part("TEXT", text="4")]}, "4", None, "stop"),
    "Gemini, parts": (
        {"content": {"role": "model", "parts": [{"text": "2 + 2", "thought": True}, {"text": "4"}]}},
        "4",
        "2 + 2",
        "stop",
    ),
    "one part without a list": ({"content": part("text", text="4")}, "4", None, "stop"),
    "a list of texts": ({"content": ["4", "2"]}, "42", None, "stop"),
    "a part without a type": ({"content": [{"text": "4"}]}, "4", None, "stop"),
    "a reasoning part": (
        {"content": [part("reasoning", reasoning="2 + 2"), part("text", text="4")]},
        "4",
        "2 + 2",
        "stop",
    ),
    "a summary part": (
        {"content": [part("reasoning", summary=[part("summary_text", text="2 + 2")]), part("text", text="4")]},
        "4",
        "2 + 2",
        "stop",
    ),
    "DeepSeek": ({"content": "4", "reasoning_content": "2 + 2"}, "4", "2 + 2", "stop"),
    "vLLM": ({"content": "4", "reasoning": "2 + 2", "reasoning_content": "2 + 2"}, "4", "2 + 2", "stop"),
    "Ollama": ({"content": "4", "thinking": "2 + 2"}, "4", "2 + 2", "stop"),
    "reasoning as a list": ({"content": "4", "reasoning": ["2", "+ 2"]}, "4", "2\n\n+ 2", "stop"),
    "reasoning as a list of parts": (
        {"content": "4", "reasoning_content": [part("text", text="2 + 2")]},
        "4",
        "2 + 2",
        "stop",
    ),
    "reasoning as an object": ({"content": "4", "reasoning": {"content": "2 + 2"}}, "4", "2 + 2", "stop"),
    "reasoning as a number": ({"content": "4", "reasoning": 7}, "4", None, "stop"),
    "OpenRouter, details": (
        {
            "content": "4",
            "reasoning": None,
            "reasoning_details": [part("reasoning.text", text="2 + 2"), part("reasoning.encrypted", data="x")],
        },
        "4",
        "2 + 2",
        "stop",
    ),
    "LiteLLM, blocks": (
        {"content": "4", "thinking_blocks": [part("thinking", thinking="2 + 2", signature="s")]},
        "4",
        "2 + 2",
        "stop",
    ),
    "OpenAI, refused": ({"content": None, "refusal": NEIN}, NEIN, None, "refusal"),
    "refused in a part": ({"content": [part("refusal", refusal=NEIN)]}, NEIN, None, "refusal"),
    "refused after some text": (
        {"content": [part("output_text", text="Well"), part("refusal", refusal=NEIN)]},
        "Well",
        None,
        "refusal",
    ),
    "refused in parts": ({"content": None, "refusal": [part("text", text=NEIN)]}, NEIN, None, "refusal"),
    "not refused": ({"content": "4", "refusal": None}, "4", None, "stop"),
    "not refused, as a flag": ({"content": "4", "refusal": False}, "4", None, "stop"),
    "an image beside the text": (
        {"content": [part("image_url", image_url={"url": "x"}), part("text", text="4")]},
        "4",
        None,
        "stop",
    ),
    "a tool that was not offered": ({"content": None, "tool_calls": [{"function": {"name": "f"}}]}, "", None, "stop"),
    "null in a list": ({"content": [None, part("text", text="4")]}, "4", None, "stop"),
    "nothing": ({"content": []}, "", None, "stop"),
}


def body(message) -> bytes:
    return json.dumps({"choices": [{"message": message, "finish_reason": "stop"}]}).encode()


@pytest.mark.parametrize("name", MESSAGES)
def test_a_message_is_read_by_the_types_of_its_parts(name):
    message, text, reasoning, end = MESSAGES[name]
    reply = read_reply(receive(body(message)), REQUEST)
    assert (reply.text, reply.reasoning, reply.finish_reason) == (text, reasoning, end)


@pytest.mark.parametrize(
    "name", ["an image beside the text", "a tool that was not offered", "reasoning as a number", "nothing"]
)
def test_what_a_reply_cannot_hold_is_kept_as_it_came(name):
    content = body(MESSAGES[name][0])
    reply = read_reply(receive(content), REQUEST)
    assert reply.received == (None if name == "reasoning as a number" else content.decode())


@pytest.mark.parametrize("content", [4, True, [4], [part("image_url")], {"answer": 4}, {"type": ["text"]}])
def test_content_of_no_known_type_is_a_failure_that_keeps_the_body(content):
    with pytest.raises(AttemptError) as caught:
        read_reply(receive(body({"content": content})), REQUEST)
    assert caught.value.received == body({"content": content}).decode()
    assert (caught.value.code, caught.value.passing) == ("bad_response", False)


@pytest.mark.parametrize(
    ("message", "finish", "text"),
    [({"delta": {"content": "4"}}, "stop", "4"), ({"text": "4"}, "stop", "4"), ({}, "content_filter", "")],
)
def test_a_choice_whose_message_has_another_name(message, finish, text):
    content = json.dumps({"choices": [{**message, "finish_reason": finish}]}).encode()
    assert read_reply(receive(content), REQUEST).text == text
