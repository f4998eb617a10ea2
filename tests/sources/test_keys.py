"""Rows as trainers, providers and data sets write them: what changes the question is sent, or the row is refused."""

import contextlib
import json
import re

import pytest

from distill_dagster.config import DataConfig
from distill_dagster.errors import DataError
from distill_dagster.sources.files.discovery import SourceFile
from distill_dagster.sources.formats.keys import TABLE
from distill_dagster.sources.judging.verdicts import SourceReading

IMAGE = {"type": "image_url", "image_url": {"url": "http://example.org/a.png"}}
TOOL = {"type": "function", "function": {"name": "add", "parameters": {}}}
CALL = {"id": "1", "type": "function", "function": {"name": "add", "arguments": "{}"}}


def s(text):
    return {"role": "system", "content": text}


def u(text, **more):
    return {"role": "user", "content": text, **more}


def a(text, **more):
    return {"role": "assistant", "content": text, **more}


def gpt(*turns):
    return [{"from": who, "value": text} for who, text in turns]


def judge(tmp_path, row, task="qa", split="test", **options):
    path = tmp_path / "rows.jsonl"
    path.write_text(json.dumps(row) + "\n")
    data = DataConfig(train="x", test="x", **options)
    reading = SourceReading(SourceFile("rows", split, str(path)), data, task)
    rows, rejects = [], []
    with contextlib.suppress(DataError):  # of a file without a valid row, after its rejects
        for batch in reading:
            rows += batch.rows.to_pylist()
            rejects += batch.rejects
    return rows, rejects


READ = {  # name -> (row, messages, gold answers, meta); a row of task qa
    "Alpaca with system": (
        {"instruction": "Hi", "output": "Salut", "system": "Answer in French."},
        [s("Answer in French."), u("Hi")],
        ["Salut"],
        {},
    ),
    "Alpaca with a blank system and a text column": (
        {"instruction": "q", "input": "", "output": "a", "system": " ", "text": "Below is …"},
        [u("q")],
        ["a"],
        {"system": " ", "text": "Below is …"},
    ),
    "Alpaca without an answer": ({"instruction": "q", "output": "", "history": []}, [u("q")], [], {"history": []}),
    "ShareGPT with system": (
        {"conversations": gpt(("human", "q"), ("gpt", "a")), "system": "S", "tools": "[]"},
        [s("S"), u("q")],
        ["a"],
        {"tools": "[]"},
    ),
    "prompt and completion with system_prompt": (
        {"prompt": "q", "completion": "a", "system_prompt": "S"},
        [s("S"), u("q")],
        ["a"],
        {},
    ),
    "chat with system_message": ({"messages": [u("q")], "system_message": "S"}, [s("S"), u("q")], [], {}),
    "chat whose system is there twice": (
        {"messages": [s("S"), u("q")], "system": "S ", "system_prompt": "S"},
        [s("S"), u("q")],
        [],
        {},
    ),
    "Dolly": (
        {"instruction": "Who?", "context": "Ann left.", "response": "Ann", "category": "closed_qa"},
        [u("Who?\n\nAnn left.")],
        ["Ann"],
        {"category": "closed_qa"},
    ),
    "Dolly without context": (
        {"instruction": "Who?", "context": "", "response": "Ann", "category": "open_qa"},
        [u("Who?")],
        ["Ann"],
        {"context": "", "category": "open_qa"},
    ),
    "OpenAI evals": ({"input": [s("S"), u("q")], "ideal": ["a", "b"]}, [s("S"), u("q")], ["a", "b"], {}),
    "OpenAI's role developer": (
        {"messages": [{"role": "developer", "content": "S"}, u("q")]},
        [s("S"), u("q")],
        [],
        {},
    ),
    "OpenAI's parts of text": (
        {"messages": [u([{"type": "text", "text": "Read:"}, {"type": "text", "text": "q"}])]},
        [u("Read:\nq")],
        [],
        {},
    ),
    "OpenAI's Responses parts": ({"messages": [u([{"type": "input_text", "text": "q"}])]}, [u("q")], [], {}),
    "weight 0 on the only answer": (
        {"messages": [u("q"), a("bad", weight=0)]},
        [u("q")],
        [],
        {"assistant": "bad", "messages": {"1": {"weight": 0}}},
    ),
    "weight 1 on the answer": (
        {"messages": [u("q", weight=0), a("a", weight=1)]},
        [u("q")],
        ["a"],
        {"messages": {"0": {"weight": 0}, "1": {"weight": 1}}},
    ),
    "Axolotl's training flag": (
        {"messages": [u("q"), a("bad", training=False)]},
        [u("q")],
        [],
        {"assistant": "bad", "messages": {"1": {"training": False}}},
    ),
    "OpenOrca": (
        {"id": "flan.1", "system_prompt": "S", "question": "q", "response": "a"},
        [s("S"), u("q")],
        ["a"],
        {},
    ),
    "SlimOrca": (
        {
            "conversations": [
                {"from": "system", "value": "S", "weight": None},
                {"from": "human", "value": "q", "weight": 0.0},
                {"from": "gpt", "value": "a", "weight": 1.0},
            ]
        },
        [s("S"), u("q")],
        ["a"],
        {"messages": {"0": {"weight": None}, "1": {"weight": 0.0}, "2": {"weight": 1.0}}},
    ),
    "a data set with both conversations and messages": (
        {"conversations": gpt(("human", "q"), ("gpt", "a")), "messages": [u("q"), a("a")]},
        [u("q")],
        ["a"],
        {"conversations": gpt(("human", "q"), ("gpt", "a"))},
    ),
    "UltraChat 200k, No Robots": (
        {"prompt": "q", "prompt_id": "6", "messages": [u("q"), a("a")], "category": "Generation"},
        [u("q")],
        ["a"],
        {"prompt": "q", "prompt_id": "6", "category": "Generation"},
    ),
    "SQuAD": (
        {
            "id": "5",
            "title": "T",
            "context": "Ann left.",
            "question": "Who?",
            "answers": {"text": ["Ann", "Ann"], "answer_start": [0, 0]},
        },
        [u("Who?\n\nAnn left.")],
        ["Ann"],
        {"title": "T"},
    ),
    "SQuAD 2, not answerable": (
        {"question": "Who?", "context": "C", "answers": {"text": [], "answer_start": []}},
        [u("Who?\n\nC")],
        [],
        {"answers": {"text": [], "answer_start": []}},
    ),
    "GSM8K": ({"question": "2+2?", "answer": "It is 4.\n#### 4"}, [u("2+2?")], ["It is 4.\n#### 4"], {}),
    "an answer that is the number 0": ({"question": "1-1?", "answer": 0}, [u("1-1?")], ["0"], {}),
    "TRL preference": (
        {"prompt": "q", "chosen": "a", "rejected": "b"},
        [u("q")],
        ["a"],
        {"rejected": "b"},
    ),
    "TRL preference, conversational": (
        {"prompt": [u("q")], "chosen": [a("a")], "rejected": [a("b")]},
        [u("q")],
        ["a"],
        {"rejected": [a("b")]},
    ),
    "UltraFeedback binarized": (
        {"prompt": "q", "chosen": [u("q"), a("a")], "rejected": [u("q"), a("b")], "score_chosen": 8.0},
        [u("q")],
        ["a"],
        {"rejected": [u("q"), a("b")], "score_chosen": 8.0},
    ),
    "LLaMA-Factory preference": (
        {"conversations": gpt(("human", "q")), "chosen": gpt(("gpt", "a"))[0], "rejected": gpt(("gpt", "b"))[0]},
        [u("q")],
        ["a"],
        {"rejected": gpt(("gpt", "b"))[0]},
    ),
    "OpenAI and Together preference": (
        {
            "input": {"messages": [u("q")], "tools": [], "parallel_tool_calls": True},
            "preferred_output": [a("a")],
            "non_preferred_output": [a("b")],
        },
        [u("q")],
        ["a"],
        {"tools": [], "parallel_tool_calls": True, "non_preferred_output": [a("b")]},
    ),
    "TRL unpaired preference, disliked": (
        {"prompt": "q", "completion": "bad", "label": False},
        [u("q")],
        [],
        {"label": False, "assistant": "bad"},
    ),
    "KTO, liked": ({"prompt": "q", "completion": "a", "kto_tag": True}, [u("q")], ["a"], {"kto_tag": True}),
    "Cohere's roles": (
        {
            "messages": [
                {"role": "System", "content": "S"},
                {"role": "User", "content": "q"},
                {"role": "Chatbot", "content": "a"},
            ]
        },
        [s("S"), u("q")],
        ["a"],
        {},
    ),
    "OASST's roles": (
        {"messages": [{"role": "prompter", "content": "q"}, a("a")], "lang": "en", "rank": 0},
        [u("q")],
        ["a"],
        {"lang": "en", "rank": 0},
    ),
    "one name on the turns": (
        {"messages": [u("q", name="Ann"), a("a", name="Bot")]},
        [u("q")],
        ["a"],
        {"messages": {"0": {"name": "Ann"}, "1": {"name": "Bot"}}},
    ),
    "choices that the question holds": (
        {"question": "Which?\nA) cat\nB) dog", "choices": ["cat", "dog"], "answer": "A"},
        [u("Which?\nA) cat\nB) dog")],
        ["A"],
        {"choices": ["cat", "dog"]},
    ),
    "empty keys of a request": (
        {"messages": [u("q"), a("a", tool_calls=[], function_call=None)], "tools": None, "functions": []},
        [u("q")],
        ["a"],
        {"tools": None, "functions": [], "messages": {"1": {"tool_calls": [], "function_call": None}}},
    ),
    "reasoning beside the answer": (
        {"messages": [u("q"), a("a", reasoning_content="hm")], "enable_thinking": True},
        [u("q")],
        ["a"],
        {"enable_thinking": True, "messages": {"1": {"reasoning_content": "hm"}}},
    ),
    "a reference that is blank": ({"messages": [u("q"), a("a")], "reference": ""}, [u("q")], ["a"], {}),
}

REFUSED = {  # name -> (row, code, what the message says)
    "OpenAI tools": ({"messages": [u("q")], "tools": [TOOL]}, "E017", "`tools`.*data.meta_keys"),
    "tools as a string": ({"conversations": gpt(("human", "q")), "tools": '[{"name": "add"}]'}, "E017", "`tools`"),
    "tools in a preference request": ({"input": {"messages": [u("q")], "tools": [TOOL]}}, "E017", "`tools`"),
    "functions": ({"messages": [u("q")], "functions": [{"name": "f"}]}, "E017", "`functions`"),
    "Bedrock's toolConfig": (
        {
            "schemaVersion": "bedrock-conversation-2024",
            "messages": [{"role": "user", "content": [{"text": "q"}]}],
            "toolConfig": {"tools": [{}]},
        },
        "E017",
        "`toolConfig`",
    ),
    "tool_calls": ({"messages": [u("q"), a(None, tool_calls=[CALL])]}, "E017", "message 2 calls a tool.*`tool_calls`"),
    "function_call": ({"messages": [u("q"), a(None, function_call={"name": "f"})]}, "E017", "`function_call`"),
    "role tool": ({"messages": [u("q"), {"role": "tool", "content": "4", "tool_call_id": "1"}]}, "E017", "'tool'"),
    "ShareGPT's role observation": (
        {"conversations": gpt(("human", "q"), ("function_call", "{}"), ("observation", "4"), ("gpt", "a"))},
        "E017",
        "'function_call'.*'observation'",
    ),
    "a part with an image": ({"messages": [u([{"type": "text", "text": "q"}, IMAGE])]}, "E017", "'image_url'"),
    "a part with audio": ({"messages": [u([{"type": "input_audio", "input_audio": {}}])]}, "E017", "'input_audio'"),
    "LLaMA-Factory images": ({"instruction": "q", "images": ["a.png"]}, "E017", "`images`.*more than text"),
    "response_format": ({"messages": [u("q")], "response_format": {"type": "json_object"}}, "E017", "form"),
    "TRL chat_template_kwargs": (
        {"messages": [u("q")], "chat_template_kwargs": {"enable_thinking": False}},
        "E017",
        "`chat_template_kwargs`",
    ),
    "a prefix to go on from": ({"messages": [u("q"), a("The", prefix=True)]}, "E017", "`prefix`"),
    "two system messages that differ": ({"messages": [s("A"), u("q")], "system": "B"}, "E018", "`system`.*differ"),
    "two system keys that differ": ({"prompt": "q", "system": "A", "system_prompt": "B"}, "E018", "`system_prompt`"),
    "a system that is no text": ({"prompt": "q", "system": {"role": "R"}}, "E017", "`system` is a dict"),
    "input next to messages": ({"messages": [u("Translate:")], "input": "Hallo"}, "E018", "`input`.*`messages`"),
    "context next to messages": ({"messages": [u("Who?")], "context": "Ann left."}, "E018", "`context`"),
    "context that is no text": (
        {"prompt": "q", "context": {"title": ["T"], "sentences": [["s"]]}},
        "E017",
        "is a dict",
    ),
    "MMLU's choices": ({"question": "q", "choices": ["cat", "dog"], "answer": 0}, "E018", "`choices`"),
    "a choice that is only a part of a word": ({"question": "I know", "choices": ["no"]}, "E018", "`choices`"),
    "documents for RAG": ({"messages": [u("q")], "documents": [{"title": "t", "text": "x"}]}, "E018", "`documents`"),
    "two people in one role": ({"messages": [u("q", name="Ann"), a("a"), u("r", name="Bo")]}, "E018", "'Ann', 'Bo'"),
    "history next to a single-turn question": (
        {"instruction": "May?", "output": "13", "history": [["April?", "12"]]},
        "E006",
        "has 2.*conversation",
    ),
    "history in another shape": ({"prompt": "q", "history": "earlier"}, "E017", r"\[question, answer\] pairs"),
    "history next to messages": ({"messages": [u("q")], "history": [["x", "y"]]}, "E018", "`history`"),
    "Gemini": ({"contents": [{"role": "user", "parts": [{"text": "q"}]}]}, "E002", "'contents'.*docs/formats.md"),
    "a text to go on from": ({"text": "q"}, "E002", "'text'.*docs/formats.md"),
    "a batch request": ({"custom_id": "1", "body": {"messages": [u("q")]}}, "E002", "'body'"),
}


@pytest.mark.parametrize("name", READ)
def test_what_can_be_sent_is_read(tmp_path, name):
    row, messages, gold, meta = READ[name]
    (found,), rejects = judge(tmp_path, row)
    assert not rejects
    assert (found["messages"], found["reference"], json.loads(found["meta"])) == (messages, gold, meta)


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_sent_is_refused_with_a_way_out(tmp_path, name):
    row, code, says = REFUSED[name]
    rows, (reject,) = judge(tmp_path, row)
    assert not rows
    assert reject["code"] == code, reject["message"]
    assert re.search(says, reject["message"], re.DOTALL), reject["message"]


HISTORY = [["April?", "12"], ["June?", "6"]]
TURNS = [u("April?"), a("12"), u("June?"), a("6"), u("May?"), a("13")]


@pytest.mark.parametrize(
    ("row", "messages"),
    [
        ({"instruction": "May?", "output": "13", "history": HISTORY, "system": "S"}, [s("S"), *TURNS]),
        ({"prompt": "May?", "response": "13", "chat_history": TURNS[:4]}, TURNS),
        ({"conversations": gpt(("human", "May?"), ("gpt", "13")), "system": "S"}, [s("S"), *TURNS[4:]]),
        ({"messages": [*TURNS], "history": HISTORY}, TURNS),
        ({"messages": TURNS[4:5], "response": "13"}, TURNS[4:]),
    ],
)
def test_the_history_of_a_conversation_precedes_the_question(tmp_path, row, messages):
    (found,), _ = judge(tmp_path, row, "conversation")
    assert found["messages"] == messages


def test_a_turn_of_weight_0_in_a_conversation_is_no_gold_answer(tmp_path):
    last = {"messages": [u("q"), a("a"), u("r"), a("bad", weight=0)]}
    first = {"messages": [u("q"), a("bad", weight=0), u("r"), a("a", weight=1)]}
    (row,), _ = judge(tmp_path, last, "conversation")
    assert [m["content"] for m in row["messages"]] == ["q", "a", "r", ""]
    assert json.loads(row["meta"])["assistant"] == {"3": "bad"}
    (row,), _ = judge(tmp_path, first, "conversation", split="train")
    assert [m["content"] for m in row["messages"]] == ["q", "", "r", "a"], "the teacher replaces it"
    _, (reject,) = judge(tmp_path, first, "conversation", split="test")
    assert reject["code"] == "E017"
    assert "message 2 is not to be learned" in reject["message"]


@pytest.mark.parametrize(
    ("row", "kept"),
    [
        ({"messages": [u("q")], "tools": [TOOL]}, "tools"),
        ({"messages": [u("q")], "system": "an operating system"}, "system"),
        ({"prompt": "q", "document": "report.pdf"}, "document"),
        ({"messages": [u("q"), a("a", tool_calls=[CALL])]}, "tool_calls"),
    ],
)
def test_a_key_that_the_config_names_is_kept_in_meta(tmp_path, row, kept):
    (found,), rejects = judge(tmp_path, row, meta_keys=[kept])
    assert not rejects
    assert [m["role"] for m in found["messages"]] == ["user"]
    assert kept in found["meta"]


@pytest.mark.parametrize("key", sorted(TABLE))
def test_no_key_of_the_table_is_dropped(tmp_path, key):
    """A text of its own under any such key is sent, is the gold answer, is kept as the row's liking, or is refused."""
    rows, rejects = judge(tmp_path, {"messages": [u("q")], key: "something else"})
    if rejects:
        assert rejects[0]["code"] in ("E002", "E017", "E018")
    else:
        used = [*(m["content"] for m in rows[0]["messages"]), *rows[0]["reference"]]
        assert "something else" in used or TABLE[key] == "liked"
