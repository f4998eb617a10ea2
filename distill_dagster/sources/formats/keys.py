"""Which keys beside a row's messages change the question, and how each is read: one table for every format.

    {"instruction": "May?", "output": "13", "systemPrompt": "Be brief.", "history": [["April?", "12"]], "lang": "en"}
    system "Be brief.", user "April?", assistant "12", user "May?", assistant "13"; meta {"lang": "en"}

A key of the table is read where that can be right, and refused where it cannot: E017 for what is not text (tools,
media, a form of the answer), E018 for a second text that says something else than the messages. A text that a message
holds anyway is a copy. A key that is not in the table says something about the row (its source, a score) and stays in
`meta`, as do the keys that `data.meta_keys` names. Case and separators of a key do not count.
"""

from collections.abc import Callable, Collection, Iterable
from functools import lru_cache
from typing import Any

from distill_dagster.sources.formats.chat import Draft
from distill_dagster.sources.formats.gold_keys import read_answer, read_answers, read_label, read_pointer
from distill_dagster.sources.formats.key_readers import READERS
from distill_dagster.sources.formats.turns import WAY_OUT, is_empty, plain_key


def _table(*rows: tuple[str, str]) -> dict[str, str]:
    return {key: kind for kind, keys in rows for key in keys.split()}


TABLE = _table(  # key -> what it is; in the order in which a row's keys are read
    ("system", "system system_prompt system_message system_instruction system_instructions system_content system_text"),
    ("system", "sys sys_prompt preamble developer_message developer_prompt"),
    ("context", "context passage paragraph story"),
    ("history", "history chat_history conversation_history previous_messages previous_turns"),
    ("answer", "reference ideal answer correct_answer gold gold_answer golden_answer best_answer reference_answer"),
    ("answer", "ground_truth expected expected_output expected_answer expected_response response chosen"),
    ("answer", "preferred_output output completion target target_text answer_key"),
    ("pointer", "correct correct_option correct_choice answer_index answer_idx correct_index correct_answer_index"),
    ("label", "label kto_tag"),
    ("answers", "answers references targets gold_answers correct_answers"),
    ("copy", "messages conversations prompt instruction instructions input question query premise hypothesis"),
    ("copy", "passages contexts paragraphs document documents article dialogue dialog transcript"),
    ("copy", "knowledge evidence evidences background facts support hint hints table tables code sql_context schema"),
    ("copy", "database_schema db_schema search_results snippets retrieved_context retrieved_contexts"),
    ("copy", "retrieved_documents sentence sentence1 sentence2 claim suffix prefix"),
    ("copy", "example examples few_shot few_shots few_shot_examples shots demonstrations exemplars"),
    ("choices", "choices options"),
    ("text", "text"),
    ("tools", "tools functions function_call tool_calls tool_config"),
    ("media", "image images image_url image_path audio audios video videos"),
    ("form", "response_format response_schema json_schema"),
    ("template", "chat_template chat_template_kwargs"),
)
WHY_NOT = {  # what is never read
    "tools": "a model would see tools",
    "media": "a model would see more than text",
    "form": "it fixes the form of the answer",
    "template": "it changes how the prompt is written",
}
EVERY_READER: dict[str, Callable[[Draft, str, Any], None]] = {
    **READERS,
    "answer": read_answer,
    "answers": read_answers,
    "label": read_label,
    "pointer": read_pointer,
}
PLACES = {plain_key(key): place for place, key in enumerate(TABLE)}
KINDS = {plain_key(key): kind for key, kind in TABLE.items()}


@lru_cache(maxsize=4096)
def _place(key: str) -> int | None:
    return PLACES.get(plain_key(key))


def change_nothing(keys: Iterable[str]) -> bool:
    """Whether no key of these is one of the table."""
    return all(_place(key) is None for key in keys)


def read_keys(draft: Draft, kept: Collection[str]) -> None:
    """Read the keys beside the messages of a draft, whose turns are read; `kept` names keys that change nothing."""
    if not isinstance(draft.messages, list) or not draft.messages:
        return
    meta, kept = draft.meta or {}, set(map(plain_key, kept))
    known = [(place, key) for key in meta if (place := _place(key)) is not None and plain_key(key) not in kept]
    for _, key in sorted(known):
        value, kind = meta[key], KINDS[plain_key(key)]
        if kind == "label" or not is_empty(value):
            EVERY_READER.get(kind, _refuse)(draft, key, value)


def _refuse(draft: Draft, key: str, value: Any) -> None:
    draft.faults.append(("E017", f"`{key}` cannot be sent: {WHY_NOT[KINDS[plain_key(key)]]}; {WAY_OUT}"))
