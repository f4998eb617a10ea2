"""What Azure ML's distillation validator says about a file and its records, for files that move from or to Azure.

Azure withdrew its components in April 2025, but files in its format are still in use. Its rules, under our codes:

    file     E008  the task is one of NLI, CONVERSATION, NLU_QA, MATH, SUMMARIZATION
             E001  the name ends in .jsonl
             E009  at least 65 records, for MATH 40
    record   E001  a line is a JSON object; of two equal keys the last counts
             E002  its first key, under any name, holds a list: the validator does not look for `messages`
             E004  every message is an object with `role` and `content`, which may hold anything
             E003  the first message has the role system
             E005  user and assistant alternate after it, starting with user
             E006  a single-turn task has at most two messages; the system message alone is enough
             E007  CONVERSATION: at least three messages, in whole pairs after the system message

Azure's validator stops at the first bad record; here every record gets a verdict.
"""

from collections.abc import Iterator
from typing import Any

from distill_dagster.sources.judging.decoding import Decoded, last_wins
from distill_dagster.sources.judging.rules import Fault, shown
from distill_dagster.tasks import TASKS

MOST_SINGLE_TURN = 2
LEAST_CONVERSATION = 3


def judge_file(url: str, task: str, records: int) -> list[Fault]:
    """Why Azure refuses the file as a whole; empty if it accepts the file. `records` counts its lines."""
    found, least = [], TASKS[task].azure_least_records
    if TASKS[task].azure_name is None:
        names = ", ".join(filter(None, (known.azure_name for known in TASKS.values())))
        found.append(("E008", f"Azure has no task {task!r}; it has {names}"))
    if not url.endswith(".jsonl"):
        found.append(("E001", "Azure takes only files that end in .jsonl"))
    if records < least:
        found.append(("E009", f"Azure requires at least {least} records, the file has {records}"))
    return found


def judge_record(item: Decoded, task: str) -> list[Fault]:
    """Why Azure refuses a record; empty if it accepts the record."""
    row = last_wins(item.line) if item.row is None else item.row
    if row is None:
        return [("E001", item.problem)]
    key, messages = next(iter(row.items()), ("", None))
    if not isinstance(messages, list) or not messages:
        return [("E002", f"Azure reads the first key, {key!r}, which holds no list of messages: {shown(messages)}")]
    found = [fault for number, message in enumerate(messages, 1) for fault in _judge_message(number, message)]
    return found or list(_judge_roles([message["role"] for message in messages], task))


def _judge_message(number: int, message: Any) -> Iterator[Fault]:
    if not isinstance(message, dict) or not {"role", "content"} <= message.keys():
        yield "E004", f"message {number} is not an object with `role` and `content`: {shown(message)}"


def _judge_roles(roles: list[Any], task: str) -> Iterator[Fault]:
    """The order of the roles, and their number."""
    if roles[0] != "system":
        yield "E003", f"the first message is {shown(roles[0])}, Azure requires system"
    for number, role in enumerate(roles[1:]):
        if role != ("user", "assistant")[number % 2]:
            yield "E005", f"message {number + 2} is {shown(role)}; user and assistant alternate after system"
            break
    if TASKS[task].single_turn:
        if len(roles) > MOST_SINGLE_TURN:
            yield "E006", f"{len(roles)} messages, Azure takes at most {MOST_SINGLE_TURN} for this task"
    elif len(roles) < LEAST_CONVERSATION or len(roles) % 2 == 0:
        yield "E007", f"{len(roles)} messages, Azure requires system and whole pairs of user and assistant"
