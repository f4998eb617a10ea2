"""Which keys beside a row's messages change the question, and how each is read: one table for every format.

    {"instruction": "May?", "output": "13", "system": "Be brief.", "history": [["April?", "12"]], "lang": "en"}
    system "Be brief.", user "April?", assistant "12", user "May?", assistant "13"; meta {"lang": "en"}

A key of the table is read where that can be right, and refused where it cannot: E017 for what is not text (tools,
media, a form of the answer), E018 for a second text that says something else than the messages. A text that a message
holds anyway is a copy. A key that is not in the table says something about the row (its source, a score) and stays in
`meta`, as do the keys that `data.meta_keys` names.
"""

from collections.abc import Collection
from typing import Any

from distill_dagster.sources.formats.chat import Draft
from distill_dagster.sources.formats.key_readers import READERS, read_verdict
from distill_dagster.sources.formats.turns import WAY_OUT, is_empty

TABLE: dict[str, str] = {  # key -> what it is; in the order in which a row's keys are read
    **dict.fromkeys(("system", "system_prompt", "system_message"), "system"),
    **dict.fromkeys(("context", "passage"), "context"),
    **dict.fromkeys(("history", "chat_history", "conversation_history"), "history"),
    **dict.fromkeys(("ideal", "answers", "answer", "response", "chosen", "preferred_output"), "answer"),
    **dict.fromkeys(("output", "completion"), "answer"),
    **dict.fromkeys(("label", "kto_tag"), "liked"),
    **dict.fromkeys(("messages", "conversations", "prompt", "instruction", "instructions", "input"), "copy"),
    **dict.fromkeys(("question", "query", "premise", "hypothesis"), "copy"),
    **dict.fromkeys(("passages", "contexts", "document", "documents", "article", "choices", "options"), "copy"),
    **dict.fromkeys(("tools", "functions", "function_call", "tool_calls", "toolConfig"), "tools"),
    **dict.fromkeys(("image", "images", "image_url", "audio", "audios", "video", "videos"), "media"),
    **dict.fromkeys(("response_format", "response_schema", "json_schema"), "form"),
    **dict.fromkeys(("chat_template", "chat_template_kwargs"), "template"),
}
WHY_NOT = {  # what is never read
    "tools": "a model would see tools",
    "media": "a model would see more than text",
    "form": "it fixes the form of the answer",
    "template": "it changes how the prompt is written",
}
CHANGING = frozenset(TABLE)


def read_keys(draft: Draft, kept: Collection[str]) -> None:
    """Read the keys beside the messages of a draft, whose turns are read; `kept` names keys that change nothing."""
    if not isinstance(draft.messages, list) or not draft.messages:
        return
    meta = draft.meta or {}
    for key in [key for key in TABLE if key in meta and key not in kept]:
        value = meta[key]
        kind = TABLE[key]
        if kind == "liked":
            read_verdict(draft, value)
        elif not is_empty(value):
            READERS.get(kind, _refuse)(draft, key, value)


def _refuse(draft: Draft, key: str, value: Any) -> None:
    draft.faults.append(("E017", f"`{key}` cannot be sent: {WHY_NOT[TABLE[key]]}; {WAY_OUT}"))
