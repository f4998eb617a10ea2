"""Models that refuse parameters, as OpenAI's API and FastAPI servers word it.

The script's `refuses` names parameters with the values that the model accepts, none or some:

    {"temperature": [1], "max_tokens": [], "seed": []}      a reasoning model: temperature 1, and neither of the others

With `refuse_status` 422 the error is FastAPI's. `stream_only` refuses a request without `stream: true`.
"""

from typing import Any

REASONING = {"temperature": [1], "top_p": [1], "max_tokens": [], "logprobs": [], "top_logprobs": []}


def refused_parameter(body: dict[str, Any], script: dict[str, Any]) -> tuple[int, dict[str, Any]] | None:
    """Status and body of the error for the first parameter that the script refuses, or None."""
    if script["stream_only"] and not body.get("stream"):
        return 400, {"error": {"message": "This model only support stream mode, please enable the stream parameter."}}
    for name, accepted in script["refuses"].items():
        if name in body and body[name] not in accepted:
            return script["refuse_status"], _error(name, body[name], accepted, script["refuse_status"])
    return None


def _error(name: str, given: Any, accepted: list[Any], status: int) -> dict[str, Any]:
    if status == 422:
        detail = {"type": "extra_forbidden", "loc": ["body", name], "msg": "Extra inputs are not permitted"}
        return {"detail": [{**detail, "input": given}]}
    if accepted:
        only = f"Only the default ({accepted[0]}) value is supported."
        message, code = f"Unsupported value: '{name}' does not support {given} with this model. {only}", "value"
    else:
        message, code = f"Unsupported parameter: '{name}' is not supported with this model.", "parameter"
    return {
        "error": {"message": message, "type": "invalid_request_error", "param": name, "code": f"unsupported_{code}"}
    }
