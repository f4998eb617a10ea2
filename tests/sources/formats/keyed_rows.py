"""Rows with a key beside the usual ones, or under another name, and what is read of each."""

from testing.source_rows import a, gpt, s, u

KEYED = {  # name -> (row, messages, gold answers, meta); a row of task qa
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
    "a data set with both conversations and messages": (
        {"conversations": gpt(("human", "q"), ("gpt", "a")), "messages": [u("q"), a("a")]},
        [u("q")],
        ["a"],
        {"conversations": gpt(("human", "q"), ("gpt", "a"))},
    ),
    "an answer that is the number 0": ({"question": "1-1?", "answer": 0}, [u("1-1?")], ["0"], {}),
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
