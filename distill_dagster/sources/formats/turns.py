"""The turns of a row as people write them: names of roles, content in parts, and keys beside role and content.

    {"role": "developer", "content": [{"type": "text", "text": "Be brief."}]}    system "Be brief."
    {"role": "Chatbot", "content": "12", "weight": 0}                            assistant "12", which is no gold answer
    {"role": "assistant", "content": null, "tool_calls": [{…}]}                  E017
    {"role": "assistant", "content": " "}                                        at the end of a row: no answer

`judging.rules` refuses a turn that is still odd after this, such as the turn of a tool or a part with an image.
"""

from collections.abc import Collection, Iterator
from typing import Any

from distill_dagster.sources.formats.chat import Draft
from distill_dagster.sources.formats.learned_turns import HIDDEN, WEIGHTS, is_hidden, unclear

ROLES = ("system", "user", "assistant")
ROLE_NAMES = {
    "developer": "system",  # OpenAI's newer name
    "human": "user",  # ShareGPT
    "prompter": "user",  # OASST
    **dict.fromkeys(("gpt", "chatgpt", "bot", "chatbot", "model", "ai"), "assistant"),  # ShareGPT, Cohere, Gemini
}
TOOL_ROLES = frozenset(
    [
        "tool",
        "tools",
        "tool_call",
        "tool_response",
        "tool_result",
        "function",
        "function_call",
        "function_response",
        "observation",
        "ipython",
    ]
)
TEXT_PARTS = frozenset({"text", "input_text", "output_text"})
NOT_SENT = {  # plain keys of a turn that change what a model sees or has to write
    **dict.fromkeys(("toolcall", "toolcalls", "functioncall", "functioncalls"), "calls a tool"),
    **dict.fromkeys(("image", "images", "imageurl", "imageurls", "imagepath", "imagebase64", "img"), "holds media"),
    **dict.fromkeys(("audio", "audios", "video", "videos", "file", "files", "attachments"), "holds media"),
    "prefix": "is the forced beginning of an answer",
}
SEPARATORS = str.maketrans("", "", "_- .")
WAY_OUT = "remove it, or name the key in data.meta_keys if it changes nothing"


def role_of(name: Any) -> Any:
    """The role under our name for it; one that is unknown stays as it is and is judged later."""
    if not isinstance(name, str) or name in ROLES:
        return name
    lower = name.lower()
    return lower if lower in ROLES else ROLE_NAMES.get(lower, name)


def plain_key(key: str) -> str:
    """A key without its case and separators: `systemPrompt`, `System-Prompt` and `system_prompt` are one."""
    return key.casefold().translate(SEPARATORS)


def is_empty(value: Any) -> bool:
    """Whether a key's value says nothing: null, false, blank, an empty list or object, also as text."""
    if isinstance(value, str):
        return value.strip() in ("", "[]", "{}", "null")
    return value is None or value is False or value == [] or value == {}


def joined(content: Any) -> Any:
    """Parts of text as lines; anything else stays as it is."""
    if not isinstance(content, list) or not content or any(map(odd_part, content)):
        return content
    texts = [part["text"] for part in content if isinstance(part, dict) and isinstance(part.get("text"), str)]
    return "\n".join(texts) if len(texts) == len(content) else content


def odd_part(part: Any) -> str | None:
    """The kind of a part that is an object but not text, such as `image_url`; None for text and for anything else."""
    if not isinstance(part, dict) or not part:
        return None
    kind = part.get("type")
    if isinstance(kind, str):
        return None if kind in TEXT_PARTS else kind
    return next((key for key in part if key != "text"), None)


def read_turns(draft: Draft, kept: Collection[str]) -> None:
    """Read the turns of a draft; `kept` names keys that change nothing."""
    if not isinstance(draft.messages, list):
        return
    kept = set(map(plain_key, kept))
    messages = [_turn(message) for message in draft.messages]
    draft.messages = messages
    for place, message in enumerate(messages):
        if not isinstance(message, dict):
            continue
        keys = [(key, plain_key(key)) for key in message if isinstance(key, str)]
        beside = {key: plain for key, plain in keys if plain not in kept}
        draft.faults += _not_sent(place + 1, message, beside)
        if message.get("role") == "assistant":
            draft.faults += unclear(place + 1, message, beside)
            if any(is_hidden(plain, message[key]) for key, plain in beside.items()):
                draft.not_gold.add(place)
    if "name" not in kept:
        draft.faults += _speakers(messages)
    _drop_blank_answer(draft, kept)


def _drop_blank_answer(draft: Draft, kept: Collection[str]) -> None:
    """Take a blank assistant turn away from the end; what else it holds stays in meta. A row needs another turn."""
    *before, last = draft.messages or [None]
    if not before or not isinstance(last, dict) or last.get("role") != "assistant":
        return
    rest = {key: value for key, value in last.items() if key not in ("role", "content")}
    said = [value for key, value in rest.items() if plain_key(key) not in {*WEIGHTS, *HIDDEN, *kept}]
    if not is_blank(last.get("content")) or ("content" not in last and not all(map(is_empty, said))):
        return
    draft.messages = before
    draft.not_gold.discard(len(before))
    if rest:
        draft.meta = {**(draft.meta or {}), "assistant": rest}


def is_blank(content: Any) -> bool:
    """Whether a content or a gold answer says nothing: null, white space, or no parts."""
    return content is None or content == [] or (isinstance(content, str) and not content.strip())


def _turn(message: Any) -> Any:
    if not isinstance(message, dict) or "role" not in message:
        return message
    read = {**message, "role": role_of(message["role"])}
    return {**read, "content": joined(read["content"])} if "content" in read else read


def _not_sent(number: int, message: dict[str, Any], keys: dict[str, str]) -> Iterator[tuple[str, str]]:
    for key, plain in keys.items():
        if plain in NOT_SENT and not is_empty(message[key]):
            yield "E017", f"message {number} {NOT_SENT[plain]}, and only text is sent: `{key}`; {WAY_OUT}"


def _speakers(messages: list[Any]) -> Iterator[tuple[str, str]]:
    """Turns of one role under several names: models would no longer see who speaks."""
    for role in ("user", "assistant"):
        turns = (m for m in messages if isinstance(m, dict) and m.get("role") == role)
        names = sorted({str(turn["name"]) for turn in turns if not is_empty(turn.get("name"))})
        if len(names) > 1:
            shown = ", ".join(map(repr, names[:3]))
            yield (
                "E018",
                f"the turns of role {role} have several names ({shown}), and names are not sent: write them into the "
                "content, or put `name` into data.meta_keys",
            )
