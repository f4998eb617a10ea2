"""Tells a key from the name of a variable, and from any other text, by its shape.

Names are made of words, keys of random characters, and no list of prefixes is complete. So each piece of letters and
digits counts as odd unless it looks like a word: letters of one case or capitalised words, and digits only at its end.

    OPENAI_API_KEY, my_openai_key_2, K8S_GPT4O_KEY      names: at most a few odd characters
    fw_CunlojVXVPQe4mT9sKdW2a, 4b1f…9c (32 digits)      keys: most characters are odd

A key is not only refused where a name is expected: no message repeats a text that looks like one. Hashes look like keys
too, so a message masks them, but nothing refuses them. What is refused anywhere has the prefix of a known provider.
"""

import re

from distill_dagster.redaction import redact

MOST_ODD = 13  # odd characters of a name, such as the 8 of K8S_GPT4O_KEY; a key has 16 or more
PIECE = re.compile(r"[A-Za-z0-9]+")
ONE_CASE = re.compile(r"(?:[A-Z]?[a-z]{1,30}|[A-Z]{1,30})\d{0,4}|\d{1,8}")
CAMEL = re.compile(r"(?:(?:[A-Z]?[a-z]+|[A-Z]+(?![a-z]))\d{0,4}){1,4}")  # MyOpenAIKey: at most 12 characters
LONGEST_CAMEL = 12
TOKEN = re.compile(r"[A-Za-z0-9_+=-]{16,}")
VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
PREFIXED = re.compile(  # Groq, xAI, Perplexity, NVIDIA, Replicate, Cerebras, Fireworks, Together, ElevenLabs and others
    r"(?<![A-Za-z0-9])(?:gsk_|xai-|pplx-|nvapi-|r8_|csk-|fw_|fpk_|tgp_v1_|sk_|rpa_|dop_v1_|jina_|voyage-|pa-)"
    r"(?P<tail>[A-Za-z0-9_-]{16,})"
)
HIDDEN = "***"


def is_variable_name(text: str) -> bool:
    """Whether a text may be the name of an environment variable, rather than the key that belongs into it."""
    return VARIABLE.fullmatch(text) is not None and not is_random(text)


def is_random(text: str) -> bool:
    """Whether a text has more odd characters than a name or an ordinary value."""
    return sum(len(piece) for piece in PIECE.findall(text) if not _is_word(piece)) > MOST_ODD


def has_key_of_provider(text: str) -> bool:
    """Whether a text holds the prefix of a provider's keys, with random characters behind it."""
    return any(is_random(found["tail"]) for found in PREFIXED.finditer(text))


def without_keys(text: str) -> str:
    """A text for a message: what looks like a key is masked."""
    return TOKEN.sub(lambda found: HIDDEN if is_random(found[0]) else found[0], text)


def name_shown(part: str | int) -> str:
    """A field's name for a message: a key that was pasted as a name is masked."""
    return without_keys(redact(str(part)))


def dotted(at: tuple[str | int, ...]) -> str:
    """The place of a field for a message, such as `teacher.endpoint.url`."""
    return ".".join(map(name_shown, at))


def _is_word(piece: str) -> bool:
    if ONE_CASE.fullmatch(piece):
        return True
    return len(piece) <= LONGEST_CAMEL and CAMEL.fullmatch(piece) is not None
