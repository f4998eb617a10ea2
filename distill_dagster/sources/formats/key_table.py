"""Which keys beside a row's messages change the question, and what each is: one table for every format.

    systemPrompt        system          retrieved_docs      copy: its words are those of a key of the table
    text_b, context2    copy            A, B, C             choices: a series, one key for each
    lang, source        None: they say something about the row, and stay in `meta`

Case and separators of a key do not count. A key that is not in the table, but made of its words, counts only if it
holds text, a list or an object: `num_choices: 4` is a number about the row.
"""

import re
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any

from distill_dagster.sources.formats.turns import is_empty, plain_key


def _table(*rows: tuple[str, str]) -> dict[str, str]:
    return {key: kind for kind, keys in rows for key in keys.split()}


TABLE = _table(  # key -> what it is; in the order in which a row's keys are read
    ("system", "system system_prompt system_message system_instruction system_instructions system_content system_text"),
    ("system", "sys sys_prompt preamble developer_message developer_prompt system_msg sys_msg custom_instructions"),
    ("context", "context passage paragraph story"),
    ("history", "history chat_history conversation_history previous_messages previous_turns dialogue_history"),
    ("history", "dialog_history past past_messages"),
    ("answer", "reference ideal answer correct_answer gold gold_answer golden_answer best_answer reference_answer"),
    ("answer", "ground_truth expected expected_output expected_answer expected_response response chosen"),
    ("answer", "preferred_output output completion target target_text answer_key final_answer gold_response"),
    ("answer", "reference_response true_answer answer_text solution"),
    ("pointer", "correct correct_option correct_choice answer_index answer_idx correct_index correct_answer_index cop"),
    ("pointer", "gold_label answer_label correct_label"),
    ("label", "label kto_tag"),
    ("answers", "answers references targets gold_answers correct_answers reference_answers"),
    ("copy", "messages conversations conversation prompt instruction instructions input question query premise"),
    ("copy", "hypothesis definition task_description task_definition task_instruction task_instructions guidelines"),
    (
        "copy",
        "passages contexts paragraphs document documents article dialogue dialog transcript docs doc chunks chunk",
    ),
    ("copy", "excerpt excerpts source_text input_text body abstract ctx ctxs content contents full_text raw_text goal"),
    ("copy", "knowledge evidence evidences background facts support hint hints table tables code sql_context schema"),
    ("copy", "database_schema db_schema search_results snippets retrieved_context retrieved_contexts"),
    ("copy", "retrieved_documents sentence sentence1 sentence2 sent1 sent2 startphrase claim suffix prefix"),
    ("copy", "persona personas personality"),
    ("copy", "example examples few_shot few_shots few_shot_examples shots demonstrations exemplars"),
    ("choices", "choices options candidates endings alternatives multiple_choice mc1_targets mc2_targets"),
    ("choices", "answer_choices possible_answers"),
    ("text", "text"),
    ("tools", "tools functions function_call tool_calls tool_config available_tools"),
    ("media", "image images image_url image_path audio audios video videos img image_base64 attachments files"),
    ("form", "response_format response_schema json_schema"),
    ("template", "chat_template chat_template_kwargs"),
)
THING = r"(?:images?|imgs?|audios?|videos?|pictures?|photos?|pixels?|speech)"
MADE_OF = [  # kind, plain keys that are made of words of the table
    (
        "history",
        r"(?:chat|conversation|conv|dialogue|dialog|messages?|turns?|session)(?:history|logs?)"
        r"|(?:past|prior|previous|prev|earlier|preceding)"
        r"(?:messages?|turns?|dialogues?|dialogs?|conversations?|chats?|exchanges?|utterances?|context)",
    ),
    ("copy", r"(?!neg|hardneg|rejected).*(?:contexts?|ctxs?|passages?|paragraphs?|excerpts?|chunks|docs|documents?)"),
    ("copy", r"(?:article|document|passage|review|post|story|body|question|source|context)text"),
    (
        "choices",
        r"(?:answer|possible|candidate|multiple|multiplechoice|mcq?|given|response|question|label)s?"
        r"(?:choices?|options?|alternatives|candidates)|(?:possible|candidate)(?:answers|labels|endings)",
    ),
    (
        "media",
        rf"{THING}(?:urls?|uris?|paths?|files?|filenames?|base64|b64|data|bytes|contents?|values|inputs?)"
        rf"|(?:input|query|question|prompt|user){THING}|imgs?|pictures?|photos?|imageids?|attachment|attached\w*|fileids?",
    ),
    (
        "tools",
        r"(?:available|allowed|given|all)?(?:tools|functions|apis)(?:list|json|schemas?|definitions?|specs?)?"
        r"|(?:available|allowed|given)?(?:tool|function|api)(?:list|json|schemas?|definitions?|specs?)",
    ),
]
MADE = [(kind, re.compile(form)) for kind, form in MADE_OF]
NUMBERED = re.compile(r"(.*?[^\W\d_])(?:[_\s.-]*[0-9]{1,2}|[_\s.-][a-hA-H]|(?<=[a-z])[A-H])")
OF_A_SERIES = ("context", "copy", "media", "text")  # kinds whose keys may be numbered: document_1, text_b, imageA
CHOICE = re.compile(
    r"[(\[]?(?P<stem>options?|opt|op|choices?|answers?|ans|candidate|alternative|ending|solution|sol|hypothesis|hyp|)"
    r"[\s_.-]*(?P<place>[a-j]|[0-9]{1,2})[)\].]?",
    re.IGNORECASE,
)
FIRST = (("a", "b"), ("0", "1"), ("1", "2"))
PLACES = {plain_key(key): place for place, key in enumerate(TABLE)}
KINDS = {plain_key(key): kind for key, kind in TABLE.items()}
LAST = {kind: place for place, kind in enumerate(TABLE.values())}


@lru_cache(maxsize=4096)
def kind_of(key: str) -> str | None:
    """What a key is; None for one that says something about the row."""
    plain = plain_key(key)
    return KINDS.get(plain) or _numbered(key) or next((kind for kind, form in MADE if form.fullmatch(plain)), None)


def _numbered(key: str) -> str | None:
    found = NUMBERED.fullmatch(key)
    kind = KINDS.get(plain_key(found[1])) if found else None
    return None if kind not in OF_A_SERIES else "copy" if kind == "context" else kind


def place_of(key: str) -> int:
    """The place of a key of some kind in the order in which keys are read."""
    kind = kind_of(key)
    assert kind is not None, key
    return PLACES.get(plain_key(key), LAST[kind])


def says_something(key: str, value: Any) -> bool:
    """Whether the value of a key of some kind can be a part of the question."""
    plain = plain_key(key)
    if KINDS.get(plain) == "label":
        return True
    is_number = isinstance(value, int) and kind_of(key) == "media"  # the id of an image
    return not is_empty(value) and (plain in KINDS or is_number or isinstance(value, str | list | dict))


def change_nothing(keys: Iterable[str]) -> bool:
    """Whether surely no key of these changes the question."""
    return all(kind_of(key) is None and CHOICE.fullmatch(key) is None for key in keys)


def choice_series(meta: Mapping[str, Any]) -> list[list[str]]:
    """The keys of choices that have one key each, in order: A to D, option1 and option2, opa to opd."""
    series: dict[tuple[str, bool], dict[str, str]] = {}
    for key, value in meta.items():
        found = CHOICE.fullmatch(key)
        if found and _is_choice(found["stem"] or key.isupper(), value):
            place = found["place"].casefold().lstrip("0") or "0"
            series.setdefault((found["stem"].casefold(), place.isdigit()), {})[place] = key
    ordered = [sorted(own.items(), key=lambda item: (len(item[0]), item[0])) for own in series.values()]
    return [[key for _, key in own] for own in ordered if tuple(place for place, _ in own[:2]) in FIRST]


def _is_choice(may_be_number: str | bool, value: Any) -> bool:
    """Whether a value is a choice: a text, or a number where the key is more than a place such as `a`."""
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return (isinstance(value, str) and not is_empty(value)) or bool(may_be_number and is_number)


def has_choices(meta: Mapping[str, Any]) -> bool:
    """Whether the row has several choices under some key, or under one key each."""
    lists = (own for key, own in meta.items() if kind_of(key) == "choices" or plain_key(key) == "answers")
    return any(isinstance(own, list | dict) and len(own) > 1 for own in lists) or bool(choice_series(meta))
