"""OpenAI's chat completions protocol: turns the body of a response into a reply.

    {"choices": [{"message": {"content": "4", "reasoning_content": "2 + 2 ..."}, "finish_reason": "stop"}],
     "usage": {"prompt_tokens": 12, "completion_tokens": 2}}    ->    Reply(text "4", finish_reason "stop", ...)

message.py reads the message, finish.py the reason of its end, usage.py the tokens, complaint.py an error. A reply that
stopped without any text (null content) is an empty answer. It was paid for and would be the same at temperature 0, so
it is kept with the text "", which the quality filters refuse by name.
"""

import base64
import json
from collections.abc import Mapping
from typing import Any

from distill_dagster.teachers.bounded_json import read_json
from distill_dagster.teachers.finish import CONTENT_FILTER, INTERRUPTED, REFUSAL, meaning_of, word_of
from distill_dagster.teachers.limits import estimated_tokens, prompt_characters
from distill_dagster.teachers.message import Said, read_message
from distill_dagster.teachers.protocol import Reply, Request
from distill_dagster.teachers.received import Received
from distill_dagster.teachers.retries import AttemptError, complaint, interruption
from distill_dagster.teachers.secrets import Secrets, hide_key, without_secrets
from distill_dagster.teachers.usage import billed_tokens, total_tokens

Choice = Mapping[str, Any]
WORD_CHARACTERS = 100  # of a finish reason in a message
EXCERPT_CHARACTERS = 200  # of a body in a message


def read_reply(received: Received, request: Request, secrets: Secrets = (), variable: str | None = None) -> Reply:
    """Reads a response of status 200; the caller fills in cost, attempts and time.

    If the server did not count tokens, they are estimated from the lengths of the texts, so that every reply counts in
    the budget. Secrets are hidden in errors only: the student learns what the teacher wrote, be it the word `EMPTY`.

    Raises:
        AttemptError: the body holds no answer; carries the body, and its usage, as far as something was generated.
        EndpointError: the body says that no request can work.
    """
    try:
        choice, message = _choice(received, secrets, variable)
        said = _said(message, received, secrets)
        end = _end(choice, said, received, secrets, variable)
        return _reply(choice, said, end, received, request)
    except AttemptError as e:
        e.usage, e.received = _paid(received, request), as_text(received.content, *secrets)
        raise


def _choice(received: Received, secrets: Secrets, variable: str | None) -> tuple[Choice, Choice]:
    """The first choice and its message, if the body holds them and speaks of no error."""
    choice, message = _first_of(received.value)
    if message is None and meaning_of(choice.get("finish_reason"), False) == CONTENT_FILTER:
        message = {}  # Azure and Gemini leave it out
    body = received.value if isinstance(received.value, dict) else {}
    said = f"{received.broken or 'no chat completion'}: {_excerpt(received, secrets)}"
    if message is None or any(one.get("error") for one in (body, choice, message)):
        raise complaint(without_secrets(received.value, secrets), said, variable)
    if received.broken:
        raise AttemptError("bad_response", said)
    return choice, message


def _first_of(body: Any) -> tuple[Choice, Choice | None]:
    """The first choice, {} without one, and its message, None without one."""
    choices = body.get("choices") if isinstance(body, dict) else None
    choice = choices[0] if isinstance(choices, list) and choices and isinstance(choices[0], dict) else {}
    message = next((choice[name] for name in ("message", "delta") if isinstance(choice.get(name), dict)), None)
    if message is None and isinstance(choice.get("text"), str):
        message = {"content": choice["text"]}
    return choice, message


def _said(message: Choice, received: Received, secrets: Secrets) -> Said:
    try:
        return read_message(message, received.is_streamed)
    except ValueError as e:
        raise AttemptError("bad_response", f"{e}: {_excerpt(received, secrets)}", passing=False) from e


def _end(choice: Choice, said: Said, received: Received, secrets: Secrets, variable: str | None) -> str:
    """Why the answer ended; an interruption is a failure."""
    given = choice.get("finish_reason")
    end = REFUSAL if said.refusal.strip() else meaning_of(given, bool(said.text.strip()))
    if end == INTERRUPTED:
        word = hide_key(json.dumps(given, allow_nan=False), *secrets)[:WORD_CHARACTERS]
        message = f"interrupted, finish_reason {word}: {_excerpt(received, secrets)}"
        raise interruption(str(word_of(given)), message, variable)
    return end


def _reply(choice: Choice, said: Said, end: str, received: Received, request: Request) -> Reply:
    has_refused, has_text = bool(said.refusal.strip()), bool(said.text.strip())
    prompt, completion, is_estimated = _tokens(received.value, request, said)
    is_all = said.is_whole and not received.is_mixed and has_text != has_refused
    return Reply(
        request.request_hash,
        said.text or said.refusal,
        end,
        prompt,
        completion,
        reasoning=said.thoughts or None,
        logprobs=_logprobs(choice),
        estimated=is_estimated,
        received=None if is_all else as_text(received.content),
    )


def _tokens(body: Choice, request: Request, said: Said) -> tuple[int, int, bool]:
    """Prompt and completion tokens, and whether either had to be estimated; the thoughts count as completion.

    Of a total alone, what the prompt does not explain is completion.
    """
    usage = body.get("usage")
    prompt, completion = billed_tokens(usage)
    characters = len(said.text or said.refusal) + len(said.thoughts)
    is_estimated = not prompt or (not completion and characters > 0)
    prompt = prompt or estimated_tokens(prompt_characters(request.messages))
    return prompt, max(completion or estimated_tokens(characters), (total_tokens(usage) or 0) - prompt), is_estimated


def _paid(received: Received, request: Request) -> tuple[int, int]:
    """The tokens of a body without an answer: those that the server counted; estimates if half an answer came, or if
    only the total is known."""
    body = received.value if isinstance(received.value, dict) else {}
    prompt, completion = billed_tokens(body.get("usage"))
    if prompt is None and completion is None:
        said = _half_said(body, received.is_streamed)
        if said or total_tokens(body.get("usage")):
            return _tokens(body, request, said or Said("", "", "", is_whole=True))[:2]
    return prompt or 0, completion or 0


def _half_said(body: Choice, is_streamed: bool) -> Said | None:
    """What the message of a broken answer says; None if nothing."""
    try:
        said = read_message(_first_of(body)[1] or {}, is_streamed)
    except ValueError:
        return None
    return said if said.text or said.thoughts or said.refusal else None


def _logprobs(choice: Choice) -> str | None:
    given = choice.get("logprobs")
    return json.dumps(given, ensure_ascii=False, separators=(",", ":"), allow_nan=False) if given else None


def error_body(content: bytes, secrets: Secrets) -> Any:
    """The JSON of an error, or its text if it is none, without the secrets, which some servers repeat in it."""
    try:
        return without_secrets(read_json(content), secrets)
    except ValueError:
        return hide_key(content.decode("utf-8", "replace"), *secrets)


def as_text(content: bytes, *keys: str | None) -> str:
    """A body as text that a table can hold: itself, or as a data URL (RFC 2397) if it is not UTF-8."""
    try:
        return hide_key(content.decode(), *keys)
    except UnicodeDecodeError:
        hidden = hide_key(content.decode("latin-1"), *keys).encode("latin-1")
        return f"data:application/octet-stream;base64,{base64.b64encode(hidden).decode()}"


def _excerpt(received: Received, secrets: Secrets) -> str:
    """The beginning of a body, for an error message."""
    return hide_key(received.content.decode("utf-8", "replace"), *secrets)[:EXCERPT_CHARACTERS]
