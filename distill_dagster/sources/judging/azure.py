"""What Azure ML's distillation validator says of a file and of each record: for files that move here, or back.

Its components were withdrawn in April 2025; files in its form are still around. Its rules, under the codes of ours:

    file     E008  the task is one of NLI, CONVERSATION, NLU_QA, MATH, SUMMARIZATION
             E001  the name ends in .jsonl
             E009  at least 65 records, for MATH 40
    record   E001  a line is a JSON object
             E002  its first key, whatever it is called, holds a list: the key `messages` is never looked up
             E004  every message is an object with `role` and `content`, which may hold anything
             E003  the first message is system
             E005  user and assistant alternate after it, starting with user
             E006  at most two messages where the task is of one turn; the system message alone will do
             E007  CONVERSATION: at least three messages, in whole pairs after the system message

Azure's validator stops at the first bad record; here each one gets its verdict.
"""

from collections.abc import Iterator
from typing import Any

from distill_dagster.sources.judging.decoding import Decoded
from distill_dagster.sources.judging.rules import Finding, shown
from distill_dagster.tasks import TASKS

MOST_SINGLE_TURN = 2
LEAST_CONVERSATION = 3


def judge_file(url: str, task: str, records: int) -> list[Finding]:
    """What Azure refuses a file for as a whole; empty where it takes it."""
    found, least = [], TASKS[task].azure_least_records
    if TASKS[task].azure_name is None:
        names = ", ".join(filter(None, (known.azure_name for known in TASKS.values())))
        found.append(("E008", f"Azure has no task {task!r}; it has {names}"))
    if not url.endswith(".jsonl"):
        found.append(("E001", "Azure takes files that end in .jsonl alone"))
    if records < least:
        found.append(("E009", f"Azure asks for at least {least} records, the file has {records}"))
    return found


def judge_record(item: Decoded, task: str) -> list[Finding]:
    """What Azure refuses a record for; empty where it takes it."""
    if item.row is None:
        return [("E001", item.problem)]
    key, messages = next(iter(item.row.items()), ("", None))
    if not isinstance(messages, list) or not messages:
        return [("E002", f"Azure reads the first key, {key!r}, and finds no list of messages: {shown(messages)}")]
    found = [finding for number, message in enumerate(messages, 1) for finding in _judge_message(number, message)]
    return found or list(_judge_roles([message["role"] for message in messages], task))


def _judge_message(number: int, message: Any) -> Iterator[Finding]:
    if not isinstance(message, dict) or not {"role", "content"} <= message.keys():
        yield "E004", f"message {number} is no object with `role` and `content`: {shown(message)}"


def _judge_roles(roles: list[Any], task: str) -> Iterator[Finding]:
    """The order of the roles, and how many there may be."""
    if roles[0] != "system":
        yield "E003", f"the first message is {shown(roles[0])}, Azure asks for system"
    for number, role in enumerate(roles[1:]):
        if role != ("user", "assistant")[number % 2]:
            yield "E005", f"message {number + 2} is {shown(role)}; user and assistant alternate after system"
            break
    if TASKS[task].single_turn:
        if len(roles) > MOST_SINGLE_TURN:
            yield "E006", f"{len(roles)} messages, Azure takes at most {MOST_SINGLE_TURN} for this task"
    elif len(roles) < LEAST_CONVERSATION or len(roles) % 2 == 0:
        yield "E007", f"{len(roles)} messages, Azure asks for system and whole pairs of user and assistant"
