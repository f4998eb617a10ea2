"""Rows as trainers, providers and public data sets write them, and what is read of each."""

from testing.source_rows import a, gpt, s, u

KNOWN = {  # name -> (row, messages, gold answers, meta); a row of task qa
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
    "Alpaca's rendering of instruction and input": (
        {"instruction": "Add.", "input": "2, 2", "output": "4", "text": "### I:\nAdd.\n\n### In:\n2, 2\n\n### R:\n4"},
        [u("Add.\n\n2, 2")],
        ["4"],
        {"text": "### I:\nAdd.\n\n### In:\n2, 2\n\n### R:\n4"},
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
}
