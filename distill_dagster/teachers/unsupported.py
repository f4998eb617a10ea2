"""Recognizes that an endpoint refuses a parameter that it was sent, and names the line of the config that helps.

    400  {"error": {"code": "unsupported_value", "param": "temperature",
                    "message": "Unsupported value: 'temperature' does not support 0 with this model. Only the default
                                (1) value is supported."}}             ->    parameters: {temperature: 1}
    422  {"detail": [{"type": "extra_forbidden", "loc": ["body", "seed"]}]}  ->  parameters: {seed: omit}
    400  {"error": {"message": "seed: Extra inputs are not permitted"}}      ->  parameters: {seed: omit}
    400  {"error": "Argument not supported on this model: seed"}             ->  parameters: {seed: omit}
    404  {"error": {"message": "No endpoints found that support the provided parameters"}}
                                                                             ->  each that was sent
    400  {"error": {"message": "This model only supports stream mode"}}      ->  stream: true

Every request carries the parameter, so such an error stops all of them. An error about one prompt (too long, not
allowed) names no parameter as unsupported, and is left to retries.py.
"""

import json
import re
from collections.abc import Callable, Iterator
from typing import Any

from distill_dagster.config import EndpointConfig
from distill_dagster.errors import EndpointError
from distill_dagster.teachers.secrets import Secrets, without_secrets

STATUSES = {400, 404, 422}
MESSAGE_CHARACTERS = 300
CODES = {
    *("unsupported_value", "unsupported_parameter", "unknown_parameter", "unrecognized_parameter"),
    *("extra_forbidden", "value_error.extra"),  # pydantic 2 and 1, behind FastAPI
}
WORDS = re.compile(
    r"unsupported|not support|n't support|no longer support|only support|unrecognized|unrecognised|unexpected"
    r"|extra_forbidden|unknown (?:field|parameter|argument|name)|extra (?:inputs|fields)|not permitted|not allowed"
    r"|is deprecated|only (?:the default|\d|be set)|cannot both be|cannot be specified"
    r"|must be (?:set to )?1(?:\.0+)?\b",
    re.IGNORECASE,
)
STREAM_ONLY = re.compile(
    r"only support\w* (?:the )?stream|support\w* only stream|stream(?:ing)?\W+(?:mode )?(?:must|has to|needs to) be"
    r"|(?:must|has to) be (?:set )?(?:to )?stream|enable the stream|non-stream\w* (?:\w+ )*(?:is|are) not supported"
    r"|set \W*stream\W* to true",
    re.IGNORECASE,
)
ONE_VALUE = re.compile(r"(?:only|default|must be|set to|equal to)\D{0,20}?(\d+(?:\.\d+)?)", re.IGNORECASE)
UNNAMED = re.compile(  # a router found no provider that takes all that was sent
    r"(?:support|handle|accept)\w* (?:all )?(?:of )?(?:the |your |these )?(?:provided|requested|given|specified) param",
    re.IGNORECASE,
)
_REFUSED = r"(?:support\w*|permitted|allowed|recogni[sz]ed|unexpected|unknown|unsupported|extra|invalid)"
NAMED = (  # by its quotes, or by the words beside it: a message may repeat a prompt about the temperature in Rome
    r"['\"`]{name}['\"`]|(?:parameters?|arguments?|fields?|property|properties|for|value|inputs|supplied)[\s:]+{name}\b"
    r"|\b{name}[\s:]+(?:parameter|is|does|must|may|can|not|only|value|argument)\b"
    r"|(?:^|[\s./(\[,;]){name}\s*:\s*(?:extra|unexpected|unknown|unsupported|unrecogni[sz]ed)\b"
    rf"|{_REFUSED}[^:]{{{{0,60}}}}:\s*(?:[\w.]++(?:\s*,\s*(?:and\s+)?|\s+and\s+))*{{name}}\s*(?:$|[.,;)\]]|and\b)"
)
OTHER_LIMIT = {"max_tokens": "max_completion_tokens", "max_completion_tokens": "max_tokens"}
NEVER = {"model", "messages"}  # not parameters: an error about them is one about the request


def refuse_unsupported(status: int, body: Any, sent: dict[str, Any], host: str, endpoint: EndpointConfig) -> None:
    """Raise if a response of this status and JSON body says that a parameter of the body that was sent is unsupported.

    Raises:
        EndpointError: it does; the message names the parameter, the value that was sent, and the line to write.
    """
    if status not in STATUSES:
        return
    errors = list(_errors(body))
    said = "; ".join(message for _, _, message in errors if message) or "no message"
    if not sent.get("stream") and any(STREAM_ONLY.search(message) for _, _, message in errors):
        raise EndpointError(_message(status, said, host, "answers only as a stream", "stream: true"))
    name = next((name for error in errors if (name := _refused(*error, sent))), None)
    if name is None and any(UNNAMED.search(message) for _, _, message in errors):
        raise EndpointError(
            f"{host} takes not all that a request holds ({status}: {said[:MESSAGE_CHARACTERS]})\n"
            f"  leave out what the model does not take, below this teacher's `endpoint`:  {_lines(sent, endpoint)}"
        )
    if name is not None:
        value = json.dumps(sent[name], ensure_ascii=False, allow_nan=False)[:40]
        line = _line(name, said, endpoint)
        raise EndpointError(_message(status, said, host, f"refuses the parameter `{name}: {value}`", line))


def refuse_unsupported_inside(
    body: Any, secrets: Secrets, sent: Callable[[], dict[str, Any]], host: str, endpoint: EndpointConfig
) -> None:
    """As `refuse_unsupported`, for a body of status 200; `sent` makes the request's body, if an error is there."""
    for error in _errors_inside(body):
        refuse_unsupported(400, without_secrets(error, secrets), sent(), host, endpoint)


def _errors_inside(body: Any) -> Iterator[Any]:
    """The errors that a body of status 200 holds, beside its choices or in them."""
    choices = body.get("choices") if isinstance(body, dict) else None
    for part in (body, *(choices if isinstance(choices, list) else [])):
        if isinstance(part, dict) and part.get("error"):
            yield {"error": part["error"]}


def _errors(body: Any) -> Iterator[tuple[str | None, str | None, str]]:
    """Parameter, code and message of every error in a body."""
    error = body.get("error", body) if isinstance(body, dict) else body
    if isinstance(error, dict) and isinstance(error.get("detail"), list):  # FastAPI
        error = error["detail"]
    for one in error if isinstance(error, list) else [error]:
        if isinstance(one, dict):
            where = one.get("loc")
            last = where[-1] if isinstance(where, list | tuple) and where else None
            said = one.get("message") or one.get("msg") or one.get("detail") or ""
            yield _text(one.get("param") or last), _text(one.get("code") or one.get("type")), str(said)
        elif isinstance(one, str):
            yield None, None, one


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None


def _refused(param: str | None, code: str | None, message: str, sent: dict[str, Any]) -> str | None:
    """The parameter that an error says is unsupported, or None."""
    if code not in CODES and not WORDS.search(message):
        return None
    names = sent.keys() - NEVER
    if param is not None:
        return param if param in names else next((name for name in names if param.startswith(f"{name}.")), None)
    named = [name for name in names if re.search(NAMED.format(name=name), message, re.IGNORECASE)]
    return min(named, key=message.index, default=None)


def _lines(sent: dict[str, Any], endpoint: EndpointConfig) -> str:
    """The line for each parameter that was sent."""
    names = (name for name in sent if name not in NEVER)
    return "; ".join(dict.fromkeys(_line(name, "", endpoint) for name in names))


def _line(name: str, said: str, endpoint: EndpointConfig) -> str:
    """What to write below `endpoint`."""
    if name in endpoint.extra_body:
        return f"extra_body: remove {name}"
    if name in OTHER_LIMIT:
        return f"max_tokens_field: {OTHER_LIMIT[name]}"
    if name == "response_format":
        return "json_mode: json_object" if endpoint.json_mode == "json_schema" else "json_mode: none"
    if name in ("logprobs", "top_logprobs"):
        return "top_logprobs: 0"
    if name == "stream":
        return "stream: false"
    value = ONE_VALUE.search(said) if name in ("temperature", "top_p") else None
    return f"parameters: {{{name}: {value[1] if value else 'omit'}}}"


def _message(status: int, said: str, host: str, what: str, line: str) -> str:
    return (
        f"{host} {what} ({status}: {said[:MESSAGE_CHARACTERS]})\n"
        f"  write below this teacher's `endpoint`, then run again:  {line}"
    )
