"""Strategies of hypothesis for what no server should send: JSON of any shape, and texts that are almost JSON.

`JSON` draws values, `RAW` draws texts: a number may be 1e999 or NaN, a key may come twice, and lists and objects may be
nested 3,000 deep. `BODIES`, `STREAMS` and `results` draw bytes: the body of a completion, the events of a streamed one,
and the file of a batch's results.
"""

import json

from hypothesis import strategies as st

WORDS = st.sampled_from(
    ["text", "thinking", "refusal", "stop", "length", "error", "banana", "4", "<think>a</think>4", "\ud83d", "\x00", ""]
)
NUMBERS = st.integers() | st.floats(allow_nan=True) | st.just(10**40)
JSON = st.recursive(
    st.none() | st.booleans() | NUMBERS | WORDS | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(WORDS | st.sampled_from(["type", "content", "message", "code", "usage"]), inner, max_size=3)
    ),
    max_leaves=8,
)
PARTS = st.lists(st.fixed_dictionaries({"type": WORDS | JSON, "text": JSON}, optional={"thinking": JSON}), max_size=3)
MESSAGE = st.fixed_dictionaries(
    {},
    optional={
        "content": WORDS | PARTS | JSON,
        "reasoning": WORDS | JSON,
        "reasoning_details": JSON,
        "refusal": st.none() | WORDS | JSON,
        "tool_calls": JSON,
        "error": st.none() | JSON,
    },
)
USAGE = st.dictionaries(
    st.sampled_from(["prompt_tokens", "completion_tokens", "total_tokens", "completion_tokens_details"]),
    NUMBERS | WORDS | JSON,
)
CHOICE = st.fixed_dictionaries(
    {"message": MESSAGE | JSON, "finish_reason": st.none() | WORDS | JSON},
    optional={"logprobs": JSON, "error": st.none() | JSON},
)
COMPLETION = st.fixed_dictionaries(
    {"choices": st.lists(CHOICE, min_size=1, max_size=2) | JSON, "usage": st.none() | USAGE | JSON},
    optional={"error": st.none() | JSON},
)

KEYS = st.sampled_from(
    ["error", "message", "content", "choices", "usage", "detail", "code", "retry_after", "type", "text", "id", "x"]
)
LEAVES = st.sampled_from(
    ["1e999", "-1e999", "NaN", "Infinity", "9" * 5000, "-0.0", '"\\ud83d"', '"4"', "null", "{}", ""]
)


def nested(inner: str, depth: int, opening: str) -> str:
    """A text within so many lists or objects."""
    return opening * depth + inner + {"[": "]", '{"error":': "}", '[{"message":': "}]"}[opening] * depth


NESTED = st.builds(
    nested,
    LEAVES,
    st.sampled_from([1, 9, 60, 64, 65, 200, 600, 1000, 3000]),
    st.sampled_from(["[", '{"error":', '[{"message":']),
)
RAW = st.recursive(
    LEAVES | NESTED | JSON.map(json.dumps),
    lambda inner: (
        st.lists(inner, max_size=3).map(lambda parts: f"[{','.join(parts)}]")
        | st.lists(st.tuples(KEYS, inner), max_size=4).map(  # with keys that come twice
            lambda pairs: "{" + ",".join(f'"{key}":{value}' for key, value in pairs) + "}"
        )
    ),
    max_leaves=6,
)
RAW_COMPLETION = st.builds(
    '{{"choices":[{{"message":{{"content":{},"reasoning":{}}},"finish_reason":{},"logprobs":{}}}],"usage":{}}}'.format,
    *[RAW] * 5,
)


def written(texts: st.SearchStrategy[str]) -> st.SearchStrategy[bytes]:
    return texts.map(lambda text: text.encode("utf-8", "surrogatepass"))


BODIES = st.one_of(COMPLETION, COMPLETION, JSON).map(lambda value: json.dumps(value).encode()) | st.binary(max_size=40)
BODIES = BODIES | written(RAW) | written(RAW_COMPLETION)

DELTA = st.fixed_dictionaries({"delta": MESSAGE | JSON}, optional={"finish_reason": WORDS | JSON, "logprobs": JSON})
CHUNK = st.fixed_dictionaries({"choices": st.lists(DELTA, max_size=2) | JSON}, optional={"usage": JSON, "error": JSON})
EVENTS = CHUNK.map(json.dumps) | RAW | st.just("[DONE]") | st.text(max_size=8)
STREAMS = written(st.lists(EVENTS, max_size=6).map(lambda events: "".join(f"data: {one}\n\n" for one in events)))
STREAMS = STREAMS.map(lambda content: b": a stream\n\n" + content)


def results(hashes: list[str]) -> st.SearchStrategy[bytes]:
    """A file with lines for these requests, and lines for none."""
    line = st.builds(
        '{{"custom_id": "{}", "response": {}, "error": {}}}'.format,
        st.sampled_from(hashes),
        st.builds('{{"status_code": {}, "body": {}}}'.format, st.sampled_from(["200", "200", "400", "null"]), RAW)
        | RAW_COMPLETION.map(lambda body: f'{{"status_code": 200, "body": {body}}}')
        | RAW,
        RAW,
    )
    return written(st.lists(line | RAW, max_size=6).map("\n".join))
