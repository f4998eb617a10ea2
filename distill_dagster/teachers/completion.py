"""OpenAI's chat completions protocol: turns the body of a response into a reply.

    {"choices": [{"message": {"content": "4", "reasoning_content": "2 + 2 ..."}, "finish_reason": "stop"}],
     "usage": {"prompt_tokens": 12, "completion_tokens": 2}}    ->    Reply(text "4", finish_reason "stop", ...)

message.py reads the message, finish.py the reason of its end, usage.py the tokens, complaint.py an error. A reply that
stopped without any text (null content) is an empty answer. It was paid for and would be the same at temperature 0, so
it is kept with the text "", which the quality filters refuse by name.
"""

import base64
import json
import math
from collections.abc import Mapping
from typing import Any

from distill_dagster.teachers.finish import CONTENT_FILTER, INTERRUPTED, REFUSAL, meaning_of
from distill_dagster.teachers.limits import estimated_tokens, prompt_characters
from distill_dagster.teachers.message import Said, read_message
from distill_dagster.teachers.protocol import Reply, Request
from distill_dagster.teachers.retries import AttemptError, complaint
from distill_dagster.teachers.secrets import hide_key
from distill_dagster.teachers.usage import billed_tokens

Choice = Mapping[str, Any]
WORD_CHARACTERS = 100  # of a finish reason in a message


def read_reply(content: bytes, request: Request, key: str | None = None, variable: str | None = None) -> Reply:
    """Reads a response of status 200; the caller fills in cost, attempts and time.

    If the server did not count tokens, they are estimated from the lengths of the texts, so that every reply counts in
    the budget. The key is hidden in errors only: the student learns what the teacher wrote, be it the word `EMPTY`.

    Raises:
        AttemptError: the body holds no answer; carries the body, and its usage, if there is one.
        EndpointError: the body says that no request can work.
    """
    body: Any = None
    try:
        body = _parse(content, key)
        choice, message = _choice(body, content, key, variable)
        return _reply(choice, _said(message, content, key), body, content, request, key)
    except AttemptError as e:
        e.usage, e.received = _counted(body), as_text(content, key)
        raise


def _parse(content: bytes, key: str | None) -> Any:
    try:
        return load_json(content)
    except (ValueError, RecursionError) as e:
        raise AttemptError("bad_response", f"not JSON: {_excerpt(content, key)}") from e


def load_json(text: bytes | str) -> Any:
    """The value of a JSON text; NaN and infinities, which some servers write as log probabilities, become None."""
    return json.loads(text, parse_constant=lambda _: None, parse_float=_finite)


def _finite(text: str) -> float | None:
    value = float(text)
    return value if math.isfinite(value) else None


def _choice(body: Any, content: bytes, key: str | None, variable: str | None) -> tuple[Choice, Choice]:
    """The first choice and its message, if the body holds them and speaks of no error."""
    choices = body.get("choices") if isinstance(body, dict) else None
    choice = choices[0] if isinstance(choices, list) and choices and isinstance(choices[0], dict) else {}
    message = next((choice[name] for name in ("message", "delta") if isinstance(choice.get(name), dict)), None)
    if message is None and isinstance(choice.get("text"), str):
        message = {"content": choice["text"]}
    if message is None and meaning_of(choice.get("finish_reason"), False) == CONTENT_FILTER:
        message = {}  # Azure and Gemini leave it out
    if message is None or any(one.get("error") for one in (body, choice, message)):
        raise complaint(error_body(content, key), f"no chat completion: {_excerpt(content, key)}", variable)
    return choice, message


def _said(message: Choice, content: bytes, key: str | None) -> Said:
    try:
        return read_message(message)
    except ValueError as e:
        raise AttemptError("bad_response", f"{e}: {_excerpt(content, key)}", passing=False) from e


def _reply(choice: Choice, said: Said, body: Choice, content: bytes, request: Request, key: str | None) -> Reply:
    has_refused, has_text = bool(said.refusal.strip()), bool(said.text.strip())
    end = REFUSAL if has_refused else meaning_of(choice.get("finish_reason"), has_text)
    if end == INTERRUPTED:
        word = json.dumps(choice.get("finish_reason"), allow_nan=False)[:WORD_CHARACTERS]
        raise AttemptError("bad_response", f"interrupted, finish_reason {word}: {_excerpt(content, key)}")
    prompt, completion, is_estimated = _tokens(body, request, said)
    return Reply(
        request.request_hash,
        said.text or said.refusal,
        end,
        prompt,
        completion,
        reasoning=said.thoughts or None,
        logprobs=_logprobs(choice),
        estimated=is_estimated,
        received=None if said.is_whole and has_text != has_refused else as_text(content),
    )


def _tokens(body: Choice, request: Request, said: Said) -> tuple[int, int, bool]:
    """Prompt and completion tokens, and whether either had to be estimated; the thoughts count as completion."""
    prompt, completion = billed_tokens(body.get("usage"))
    characters = len(said.text or said.refusal) + len(said.thoughts)
    is_estimated = not prompt or (not completion and characters > 0)
    prompt = prompt or estimated_tokens(prompt_characters(request.messages))
    return prompt, completion or estimated_tokens(characters), is_estimated


def _counted(body: Any) -> tuple[int, int]:
    """The tokens that a server counted for a body without an answer."""
    prompt, completion = billed_tokens(body.get("usage") if isinstance(body, dict) else None)
    return prompt or 0, completion or 0


def _logprobs(choice: Choice) -> str | None:
    given = choice.get("logprobs")
    return json.dumps(given, ensure_ascii=False, separators=(",", ":"), allow_nan=False) if given else None


def error_body(content: bytes, key: str | None) -> Any:
    """The JSON of an error, or its text if it is none, without the key, which some servers repeat in it."""
    text = hide_key(content.decode("utf-8", "replace"), key)
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text


def as_text(content: bytes, key: str | None = None) -> str:
    """A body as text that a table can hold: itself, or as a data URL (RFC 2397) if it is not UTF-8."""
    try:
        return hide_key(content.decode(), key)
    except UnicodeDecodeError:
        hidden = hide_key(content.decode("latin-1"), key).encode("latin-1")
        return f"data:application/octet-stream;base64,{base64.b64encode(hidden).decode()}"


def _excerpt(content: bytes, key: str | None) -> str:
    """The beginning of a body, for an error message."""
    return hide_key(content.decode("utf-8", "replace"), key)[:200]
