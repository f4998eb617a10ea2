"""Rows as trainers, providers and data sets write them: what changes the question is sent, or the row is refused."""

import contextlib
import json
import re
from pathlib import Path

import pytest

from distill_dagster.config import DataConfig
from distill_dagster.errors import DataError
from distill_dagster.sources.files.discovery import SourceFile
from distill_dagster.sources.formats.key_table import TABLE
from distill_dagster.sources.judging.verdicts import SourceReading
from distill_dagster.store.hashing import rows_hash
from distill_dagster.tasks.prompts import prompts_of
from distill_dagster.training.examples import gold_examples

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
        {
            "instruction": "q",
            "input": "",
            "output": "a",
            "system": " ",
            "text": "Below is …\n### Instruction:\nq\n### R:\na",
        },
        [u("q")],
        ["a"],
        {"system": " ", "text": "Below is …\n### Instruction:\nq\n### R:\na"},
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
    **{
        f"the system message as {key}": ({"instruction": "q", key: "S"}, [s("S"), u("q")], [], {})
        for key in (
            *("System", "SYSTEM", "systemPrompt", "System Prompt", "system-prompt", "system_instruction"),
            *("systemInstruction", "system_instructions", "sys", "sys_prompt", "preamble", "Preamble"),
        )
    },
    **{
        f"the context as {key}": ({"question": "Who?", key: "Ann left."}, [u("Who?\n\nAnn left.")], [], {})
        for key in ("Context", "paragraph", "Paragraph", "story", "Passage")
    },
    **{
        f"the gold answer as {key}": ({"input": "q", key: "a"}, [u("q")], ["a"], {})
        for key in (
            *("target", "Target", "Output", "expected_output", "expectedOutput", "ground_truth", "correct_answer"),
            *("gold", "Reference", "references", "label", "answerKey", "correct"),
        )
    },
    "a class beside a text": ({"prompt": "q", "label": "spam"}, [u("q")], ["spam"], {}),
    "a class as a number": ({"prompt": "q", "label": 1}, [u("q")], [], {"label": 1}),
    "a flag that an answer is right": (
        {"prompt": "q", "completion": "a", "correct": 1},
        [u("q")],
        ["a"],
        {"correct": 1},
    ),
    "an instruction that is blank": ({"instruction": "", "input": "q", "output": "a"}, [u("q")], ["a"], {}),
    "an instruction and an input that is blank": ({"instruction": "q", "input": " \n"}, [u("q")], [], {}),
    "Alpaca's rendering of instruction and input": (
        {"instruction": "Add.", "input": "2, 2", "output": "4", "text": "### I:\nAdd.\n\n### In:\n2, 2\n\n### R:\n4"},
        [u("Add.\n\n2, 2")],
        ["4"],
        {"text": "### I:\nAdd.\n\n### In:\n2, 2\n\n### R:\n4"},
    ),
    "a context that the prompt holds as a line": (
        {"prompt": "Context: Ann left.\nQuestion: Who?", "context": "Ann left."},
        [u("Context: Ann left.\nQuestion: Who?")],
        [],
        {"context": "Ann left."},
    ),
    "a context that the messages hold as a paragraph": (
        {"messages": [u("Who?\n\nAnn left.\nBo came.\n\nOne word.")], "context": "Ann left.\nBo came."},
        [u("Who?\n\nAnn left.\nBo came.\n\nOne word.")],
        [],
        {"context": "Ann left.\nBo came."},
    ),
    "a long context in the middle of a line": (
        {
            "messages": [u("In this: Ann left the house at six, and Bo came at seven. Who left?")],
            "context": "Ann left the house at six, and Bo came at seven.",
        },
        [u("In this: Ann left the house at six, and Bo came at seven. Who left?")],
        [],
        {"context": "Ann left the house at six, and Bo came at seven."},
    ),
    "a context that only occurs as a word": (
        {"question": "Is Ann here?", "context": "Ann"},
        [u("Is Ann here?\n\nAnn")],
        [],
        {},
    ),
    "a key in other letters that holds a copy": (
        {"messages": [u("Which?\nA) cat\nB) dog")], "Choices": ["cat", "dog"], "Answer": "A"},
        [u("Which?\nA) cat\nB) dog")],
        ["A"],
        {"Choices": ["cat", "dog"]},
    ),
    "several answers and the first of them": (
        {"question": "q", "answers": ["Paris", "paris"], "answer": "Paris"},
        [u("q")],
        ["Paris"],
        {"answers": ["Paris", "paris"]},
    ),
    "choices under answers that the question lists": (
        {"question": "Paris, London or Rome?", "answers": ["Paris", "London", "Rome"], "correct_answer": "Paris"},
        [u("Paris, London or Rome?")],
        ["Paris"],
        {"answers": ["Paris", "London", "Rome"]},
    ),
    "SQuAD's answers beside one of them": (
        {"question": "q", "answer": "Ann", "answers": {"text": ["Ann", "Ann B."], "answer_start": [0, 0]}},
        [u("q")],
        ["Ann"],
        {"answers": {"text": ["Ann", "Ann B."], "answer_start": [0, 0]}},
    ),
    "CoQA": (
        {"question": "q", "answers": [{"text": "Ann", "answer_start": 1}, {"text": "Ann B."}]},
        [u("q")],
        ["Ann", "Ann B."],
        {},
    ),
    "TriviaQA": ({"question": "q", "answer": {"value": "Ann", "aliases": ["A."]}}, [u("q")], ["Ann", "A."], {}),
    "weight 0 as text": (
        {"messages": [u("q"), a("bad", weight="0")]},
        [u("q")],
        [],
        {"assistant": "bad", "messages": {"1": {"weight": "0"}}},
    ),
    "a training flag as text, in capitals": (
        {"messages": [u("q"), a("bad", Train="False")]},
        [u("q")],
        [],
        {"assistant": "bad", "messages": {"1": {"Train": "False"}}},
    ),
    "weight 1 as text": (
        {"messages": [u("q"), a("a", weight="1.0")]},
        [u("q")],
        ["a"],
        {"messages": {"1": {"weight": "1.0"}}},
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
    **{
        f"a part of the question under {key}": ({"question": "q", key: value}, "E018", f"`{key}`.*data.meta_keys")
        for key, value in {
            **dict.fromkeys(("suffix", "text", "dialogue", "Dialogue", "knowledge", "evidence", "background"), "x"),
            **dict.fromkeys(("facts", "support", "hint", "code", "sql_context", "sqlContext", "schema"), "x"),
            **{key: [{"input": "x"}] for key in ("examples", "few_shot", "fewShot", "few_shot_examples")},
            **{key: [["x", "y"]] for key in ("table", "Documents")},
        }.items()
    },
    "a text that the instruction speaks of": ({"instruction": "Summarize.", "text": "Ann left."}, "E018", "`text`"),
    "tools in other letters": ({"messages": [u("q")], "Tools": [TOOL]}, "E017", "`Tools`"),
    "tool calls in other letters": ({"messages": [u("q"), a("a", toolCalls=[CALL])]}, "E017", "`toolCalls`"),
    "choices under answers beside answer": (
        {"question": "Capital of France?", "answers": ["Paris", "London", "Rome"], "answer": "Paris"},
        "E018",
        "`answers` holds more than the gold answer",
    ),
    **{
        f"choices under answers beside {key}": (
            {"question": "Capital of France?", "answers": ["Paris", "London", "Rome"], key: "Paris"},
            "E018",
            "`answers` holds more than the gold answer",
        )
        for key in ("correct_answer", "correctAnswer", "label", "output", "reference", "correct")
    },
    "answers that say whether they are right": (
        {"question": "q", "answers": [{"text": "Paris", "correct": True}, {"text": "Rome", "correct": False}]},
        "E018",
        "`answers` holds more than the gold answer",
    ),
    "choices by letter under answers": (
        {"question": "Capital?", "answers": {"A": "Paris", "B": "Rome"}, "answer": "A"},
        "E018",
        "`answers` holds more",
    ),
    **{
        f"the place of the right one under {key}": (
            {"question": "Paris or Rome?", "answers": ["Paris", "Rome"], key: 0},
            "E018",
            f"`{key}` is the number 0 beside a list of choices",
        )
        for key in ("label", "correct", "answer", "answer_idx", "correct_answer", "correctIndex")
    },
    "choices in another order than the question's words": (
        {"question": "Are no news good news?", "choices": ["news", "no"]},
        "E018",
        "`choices`",
    ),
    "a context that only occurs as a word": ({"messages": [u("Is Ann here?")], "context": "Ann"}, "E018", "`context`"),
    "a context without a question": ({"question": " ", "context": "Ann left."}, "E010", "blank"),
    "history whose words the question holds": (
        {"messages": [u("Yes or no?")], "history": [["Yes", "no"]]},
        "E018",
        "`history`",
    ),
    "a chosen dialogue with another question": (
        {"prompt": "q", "chosen": [u("r"), a("a")]},
        "E018",
        "`chosen`",
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
        ({"messages": [s("S"), *TURNS], "history": TURNS[:4]}, [s("S"), *TURNS]),
        (
            {"instruction": "Yes or no?", "history": [["Yes", "no"]], "output": "x"},
            [u("Yes"), a("no"), u("Yes or no?"), a("x")],
        ),
        ({"messages": TURNS[4:5], "response": "13"}, TURNS[4:]),
    ],
)
def test_the_history_of_a_conversation_precedes_the_question(tmp_path, row, messages):
    (found,), _ = judge(tmp_path, row, "conversation")
    assert found["messages"] == messages


@pytest.mark.parametrize("split", ["train", "test"])
def test_a_turn_of_weight_0_in_a_conversation_is_context_and_no_gold_answer(tmp_path, split):
    row = {"messages": [s("S"), u("q"), a("bad", weight=0), u("r"), a("a", weight=1)]}
    (found,), rejects = judge(tmp_path, row, "conversation", split=split)
    assert not rejects
    assert [m["content"] for m in found["messages"]] == ["S", "q", "bad", "r", "a"]
    assert found["not_gold"] == [2]
    first, second = prompts_of(found)
    assert (first.reference, second.reference) == ([], ["a"])
    assert second.messages[2] == a("bad"), "the text that the user answered"
    ((example,), without) = gold_examples([found])
    assert without == 1
    assert (example["answer"], example["messages"]) == ("a", found["messages"][:4])


def test_places_of_turns_follow_a_system_message_and_a_history_that_precede_them(tmp_path):
    row = {"prompt": [u("q"), a("bad", weight=0)], "system": "S", "history": [["x", "y"]]}
    (found,), _ = judge(tmp_path, row, "conversation")
    assert [m["content"] for m in found["messages"]] == ["S", "x", "y", "q", "bad"]
    assert found["not_gold"] == [4]


def test_rows_that_differ_in_their_weights_alone_are_two_rows(tmp_path):
    messages = [u("q"), a("a"), u("r"), a("b")]
    hashes = set()
    for weights in ({}, {1: 0}, {3: 0}):
        turns = [{**m, "weight": weights.get(n, 1)} for n, m in enumerate(messages)]
        (found,), _ = judge(tmp_path, {"id": "1", "messages": turns}, "conversation")
        assert found["not_gold"] == (sorted(weights) or None)
        hashes.add(rows_hash([{**found, "meta": "{}"}]))
    assert len(hashes) == 3
    plain = {name: value for name, value in found.items() if name != "not_gold"}
    assert rows_hash([{**plain, "not_gold": None}]) == rows_hash([plain]), "a row of a store without the column"


@pytest.mark.parametrize(
    ("row", "kept"),
    [
        ({"messages": [u("q")], "tools": [TOOL]}, "tools"),
        ({"messages": [u("q")], "system": "an operating system"}, "system"),
        ({"prompt": "q", "document": "report.pdf"}, "document"),
        ({"prompt": "q", "Document": "report.pdf"}, "Document"),
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
    """A text of its own under any such key is sent, is the gold answer, or is refused."""
    rows, rejects = judge(tmp_path, {"messages": [u("q")], key: "something else"})
    if rejects:
        assert rejects[0]["code"] in ("E002", "E017", "E018")
    else:
        used = [*(m["content"] for m in rows[0]["messages"]), *rows[0]["reference"]]
        assert "something else" in used


def test_the_documentation_lists_every_key_of_the_table():
    text = (Path(__file__).parents[2] / "docs/formats.md").read_text()
    assert [key for key in TABLE if f"`{key}`" not in text] == []


@pytest.mark.parametrize("key", ["lang", "source", "title", "score", "category", "$schema"])
def test_a_key_that_says_something_about_the_row_is_kept(tmp_path, key):
    (row,), _ = judge(tmp_path, {"messages": [u("q")], key: "x"})
    assert json.loads(row["meta"]) == {key: "x"}
