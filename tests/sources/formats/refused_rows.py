"""Rows that cannot be sent as they are, and what the reject says."""

from testing.source_rows import CALL, TOOL, a, gpt, s, u

IMAGE = {"type": "image_url", "image_url": {"url": "http://example.org/a.png"}}

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
