"""Keeps credentials out of the config, and out of the messages about it.

The config names the environment variable that holds a key. Whoever pastes the key itself gets an error that does not
repeat it, because errors end in logs, and the config in the Dagster UI and in manifests.

    teacher.endpoint.api_key: sk-proj-abc…                     the field takes a variable's NAME
    teacher.endpoint.url: https://h/v1?api_key=abc             a URL with a credential in it
    teacher.endpoint.extra_body: {headers: {Authorization: …}} a field that is named like a credential
    student.model.revision: gsk_…, gsk_…: 1                    a provider's key as a value or a name

A text that only looks like a key may be a hash, so it is accepted, and masked in messages (key_shapes.py).
"""

import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from distill_dagster.config.key_shapes import has_key_of_provider, is_random, is_variable_name, without_keys
from distill_dagster.config.written import Location
from distill_dagster.redaction import find, redact

NAMES_A_VARIABLE = {"api_key", "token_from", "urls_from"}  # fields whose value is the name of an environment variable
SECRET_FIELD = re.compile(
    r"(?:^|[-_.])(?:api[-_]?keys?|apikey|(?:secret|private|access|account|shared|subscription)[-_]?(?:access[-_]?)?keys?"
    r"|secret|secrets|passwords?|passwd|pwd|passphrase|credentials?|authorization|bearer|cookie"
    r"|(?:auth|access|refresh|id|api|bearer|session|security|hf|bot)[-_]?tokens?|webhooks?)$|^token$",
    re.IGNORECASE,
)
SECRET_PARAMETER = re.compile(
    r"^(?:sig|signature|key|code|x-(?:amz|goog)-(?:signature|credential|security-token))$", re.I
)
STRONG = {"api_key", "token", "private_key"}  # kinds of redaction.py whose shape alone is enough
URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://\S+")
PLACE = "export it as an environment variable, and put that variable's NAME into `api_key`"
LONGEST_SHOWN = 80


def credentials_in(value: Any, at: Location = ()) -> Iterator[tuple[Location, str]]:
    """The place of each credential in a raw config, and what is wrong there; the message does not repeat it."""
    if isinstance(value, dict):
        for key, inner in value.items():
            if _is_a_key(str(key)):
                yield (*at, str(key)), f"the name of this field looks like a key or a token: {PLACE}"
            yield from credentials_in(inner, (*at, str(key)))
    elif isinstance(value, list):
        for n, inner in enumerate(value):
            yield from credentials_in(inner, (*at, n))
    elif isinstance(value, str) and (problem := _problem(value, at)):
        yield at, problem


def is_secret(at: Location) -> bool:
    """Whether the values of a field are never shown: it, or a section around it, is named like a credential."""
    return any(isinstance(part, str) and (part in NAMES_A_VARIABLE or SECRET_FIELD.search(part)) for part in at)


def shown(value: Any, at: Location) -> str:
    """A value for a message: cut if long, without what looks like a credential, and hidden if its field holds one."""
    if is_secret(at):
        return "a value that is not shown"
    text = value if isinstance(value, str) else repr(value)
    text = redact(URL.sub(lambda match: _without_credentials(match[0]), text))
    if isinstance(value, str) and (masked := without_keys(text)) != text:
        return f"{_short(masked)!r}: what looks like a key is not shown. If it is one, {PLACE}"
    return repr(_short(text)) if isinstance(value, str) else _short(text)


def _short(text: str) -> str:
    return text if len(text) <= LONGEST_SHOWN else f"{text[:LONGEST_SHOWN]}…"


def _problem(value: str, at: Location) -> str | None:
    field = next((part for part in reversed(at) if isinstance(part, str)), "")
    if field in NAMES_A_VARIABLE:
        return "put the variable's NAME here, not its value" if _looks_like_a_key(value) else None
    if "headers" in at and "extra_body" not in at and value.startswith("$"):
        return None if is_variable_name(value[1:]) else "put the variable's NAME behind the $, not its value"
    if is_secret(at):
        return "looks like a credential by its name, and the file must hold none: keep it in the environment"
    if any(_holds_credential(url) for url in URL.findall(value)):
        return "a URL with a credential in it: remove it, and give the credential in the environment"
    if _is_a_key(value):
        return f"looks like a key or a token, and the file must hold none: {PLACE}"
    return None


def _looks_like_a_key(value: str) -> bool:
    """Whether a text is a key, address or token rather than the name of a variable."""
    return is_random(value) or "://" in value or _is_a_key(value)


def _is_a_key(value: str) -> bool:
    """Whether a text holds a key or token of a form that a provider documents."""
    return has_key_of_provider(value) or any(kind in STRONG for kind, _, _ in find(value))


def _holds_credential(url: str) -> bool:
    return url != _without_credentials(url)


def _without_credentials(url: str) -> str:
    """The URL without a password, and without the values of parameters that are named like credentials."""
    try:
        parts = urlsplit(url)
        password, names = parts.password, [name for name, _ in parse_qsl(parts.query)]
    except ValueError:  # no URL after all
        return url
    bare = url.replace(f":{password}@", ":***@", 1) if password else url
    for name in names:
        if SECRET_FIELD.search(name) or SECRET_PARAMETER.search(name):
            bare = re.sub(rf"([?&;]{re.escape(name)}=)[^&;#\s]*", r"\1***", bare)
    return bare
