"""docs/prompting.md shows the prompts and replies that the code makes, for every task and prompting."""

import json
from pathlib import Path

import pytest

from distill_dagster.tasks import TASKS, get_task

PAGE = Path(__file__).parents[2] / "docs" / "prompting.md"
INTENTS = ["card_arrival", "lost_card"]
ROUNDS = [
    {"Missing_Entities": "spring fair", "Denser_Summary": "This text is about a fair in a town, and how it began."},
    {"Missing_Entities": "Ana Ruiz; mayor", "Denser_Summary": "The mayor, Ana Ruiz, opened the town's spring fair."},
    {"Missing_Entities": "12 March", "Denser_Summary": "On 12 March mayor Ana Ruiz opened the town's spring fair."},
    {"Missing_Entities": "rain", "Denser_Summary": "Mayor Ana Ruiz opened the spring fair on 12 March, despite rain."},
]
ROWS = {  # task -> system message, user message, a plain reply, the JSON of a reply
    "nli": (
        "Label the claim: entailment, neutral or contradiction.",
        "Note: Ana's kettle cost 12 euros.\nClaim: Ana pays more than 15 euros.",
        "contradiction",
        {"reason": "The note says 12 euros, and 12 is not more than 15.", "answer_choice": "contradiction"},
    ),
    "classification": (
        "Name the intent. lost_card is only for cards that had arrived.",
        "I am still waiting for my card.",
        "card_arrival",
        {"reason": "The card has not come yet, so it cannot be lost.", "answer_choice": "card_arrival"},
    ),
    "qa": (
        "Answer from the text.",
        "Text: The kettle was packed in Lyon.\nQuestion: Where was it packed?",
        "Lyon",
        {"reason": "The text says that it was packed in Lyon.", "answer": "Lyon"},
    ),
    "math": (
        None,
        "Ana buys 12 tickets at 1.50 euros. What does she pay?",
        "12 * 1.5 = 18\n#### 18",
        {"reason": "12 * 1.5 = 18", "answer": "18"},
    ),
    "summarization": (None, "On 12 March the mayor …", "The mayor opened the fair.", {"summaries": ROUNDS}),
    "conversation": ("You are a polite clerk.", "Is the shop open?", "Yes, until six.", None),
}
CASES = [(name, prompting) for name in ROWS for prompting in get_task(name).promptings]


def fenced(text: str, language: str = "text") -> str:
    return f"```{language}\n{text}\n```"


def example(name: str, prompting: str) -> str:
    """The section of the page on one task and prompting."""
    system, user, plain, value = ROWS[name]
    task = get_task(name)
    labels = INTENTS if name == "classification" else None
    messages = [{"role": "system", "content": system}] if system else []
    sent = task.ask([*messages, {"role": "user", "content": user}], prompting, labels=labels)
    reply = plain if prompting == "plain" else json.dumps(value, ensure_ascii=False, indent=1)
    reading = task.read(reply, prompting, labels)
    parts = [
        f"### {name}, {prompting}",
        fenced("\n\n".join(f"[{message['role']}]\n{message['content']}" for message in sent)),
        "A reply:",
        fenced(reply, "text" if prompting == "plain" else "json"),
        "The student learns, with `learn: answer`:",
        fenced(task.teach(reading.answer, reading.reasoning, "answer")),
    ]
    if prompting == "chain_of_thought":
        learned = task.teach(reading.answer, reading.reasoning, "reasoning_and_answer")
        parts += ["and with `learn: reasoning_and_answer`:", fenced(learned)]
    return "\n\n".join(parts)


@pytest.mark.parametrize(("name", "prompting"), CASES)
def test_the_page_shows_prompt_reply_and_lesson(name, prompting):
    assert example(name, prompting) in PAGE.read_text(encoding="utf-8")


def test_the_page_has_an_example_of_every_task():
    assert set(ROWS) == set(TASKS)


@pytest.mark.parametrize("prompting", ["chain_of_thought", "chain_of_density"])
def test_the_table_names_the_tasks_that_support_a_prompting(prompting):
    lines = PAGE.read_text(encoding="utf-8").splitlines()
    (row,) = (line for line in lines if line.startswith(f"| `{prompting}` |"))
    supported = {name for name, task in TASKS.items() if prompting in task.promptings}
    assert set(row.split("|")[2].strip().split(", ")) == supported


def test_the_page_has_no_other_example():
    headings = [line for line in PAGE.read_text(encoding="utf-8").splitlines() if line.startswith("### ")]
    assert headings == [f"### {name}, {prompting}" for name, prompting in CASES]


def test_the_page_shows_the_response_format():
    shown = fenced(json.dumps(get_task("nli").response_format("chain_of_thought"), indent=1), "json")
    assert shown in PAGE.read_text(encoding="utf-8")
