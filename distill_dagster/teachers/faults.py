"""Kinds of faults, as a closed list: what a status and an error say, and what follows.

    money       the account is out of credit           every request would fail: stop at once
    key         the key is not accepted                stop at once
    no_access   the key may not use the model          stop at once
    no_model    there is no such model or path         stop at once
    content     the provider refuses this prompt       a failed row, which is not asked for again
    too_long    prompt and answer do not fit           a failed row, which is not asked for again
    rate        too many requests                      sent again, by fewer at a time
    passing     anything that may pass                 sent again
    refused     a 4xx for a reason that is not known   a failed row; the next run sends it again
    unknown     all else                               sent again

A fault is final only if the same request can never succeed. A refused parameter may be mended in the config, which does
not change every request's hash, so it is not final. Nor is any other 4xx whose reason is not known: each run sends it
once more, which costs nothing, because a provider does not bill what it refuses. A status that is not listed here may
pass. Words count where codes say nothing, and only in an error's own
message: a prompt that the server repeats is not read.
"""

import re
from enum import StrEnum

from distill_dagster.teachers.complaint import Complaint, folded
from distill_dagster.teachers.protocol import NO_ROOM, NOT_RENDERED, PREVIOUS_TURN_FAILED

REFUSED_CONTENT = "content_filter"  # the error code of a prompt that the provider refuses
FINAL = {NO_ROOM, NOT_RENDERED, PREVIOUS_TURN_FAILED, REFUSED_CONTENT, "http_413", "http_414", "http_431"}


class Fault(StrEnum):
    """The kinds of faults."""

    MONEY = "money"
    KEY = "key"
    NO_ACCESS = "no_access"
    NO_MODEL = "no_model"
    CONTENT = "content"
    TOO_LONG = "too_long"
    RATE = "rate"
    PASSING = "passing"
    REFUSED = "refused"
    UNKNOWN = "unknown"


BY_STATUS = {
    401: Fault.KEY,
    402: Fault.MONEY,
    403: Fault.NO_ACCESS,
    404: Fault.NO_MODEL,
    429: Fault.RATE,
    503: Fault.RATE,
    **dict.fromkeys((408, 409, 425, 498, 499, 529), Fault.PASSING),
    **dict.fromkeys((400, 405, 406, 410, 411, 412, 413, 414, 415, 416, 417), Fault.REFUSED),
    **dict.fromkeys((421, 422, 426, 428, 431), Fault.REFUSED),
    451: Fault.CONTENT,  # unavailable for legal reasons
}  # any other status is unknown

CODES = {
    Fault.MONEY: (
        *("insufficient_quota", "exceeded_current_quota_error", "billing_not_active", "billing_hard_limit_reached"),
        *("usage_limit_reached", "insufficient_balance", "insufficient_credits", "insufficient_funds", "no_credits"),
        *("insufficient_user_quota", "insufficient_quota_error", "arrearage", "account_overdue_error", "credit_limit"),
        *("payment_required", "billing_error", "billing_insufficient_balance", "budget_exceeded", "out_of_credits"),
        *("credit_balance_too_low", "spending_limit_reached", "monthly_spend_limit_exceeded", "account_arrears"),
        *("insufficient_balance_error", "quota_user_daily_free", "prepaid_bill_overdue", "postpaid_bill_overdue"),
        *("1113", "1008", "30001"),  # Zhipu, MiniMax, SiliconFlow
    ),
    Fault.KEY: (
        *("invalid_api_key", "api_key_invalid", "invalid_authentication_error", "authentication_error", "invalid_key"),
        *("unauthenticated", "invalid_api_key_error", "account_deactivated", "incorrect_api_key", "api_key_expired"),
    ),
    Fault.CONTENT: (
        *("content_filter", "content_policy_violation", "data_inspection_failed", "responsible_ai_policy_violation"),
        *(
            "invalid_prompt",
            "prohibited_content",
            "sensitive_content_detected",
            "input_text_sensitive_content_detected",
        ),
        *(
            "output_text_sensitive_content_detected",
            "content_filter_error",
            "moderation_blocked",
            "guardrail_intervened",
        ),
        *("unsafe_content", "cyber_policy_violation", "1301", "1026", "1027"),  # Zhipu, MiniMax
    ),
    Fault.TOO_LONG: (
        *("context_length_exceeded", "string_above_max_length", "tokens_too_long", "characters_too_long", "1261"),
        *("prompt_too_long", "request_too_large", "exceed_context_size_error", "context_window_exceeded"),
    ),
    Fault.RATE: (
        *("rate_limit_exceeded", "rate_limit_error", "rate_limit_reached_error", "too_many_requests", "rate_limited"),
        *("throttling", "throttling_exception", "throttling_rate_quota", "throttling_allocation_quota", "1302", "1002"),
        *("engine_overloaded_error", "overloaded_error", "capacity_exceeded", "slow_down", "queue_exceeded"),
        *("resource_exhausted", "request_quota_exceeded", "service_tier_capacity_exceeded", "server_overloaded"),
    ),
    Fault.PASSING: (
        *("server_error", "internal_error", "internal_server_error", "service_unavailable", "timeout", "api_error"),
        *("timeout_error", "model_not_ready", "model_not_ready_exception", "model_loading", "json_validate_failed"),
        *("tool_use_failed", "network_error", "upstream_error", "unavailable", "deadline_exceeded", "1000", "1001"),
    ),
}
BY_CODE = {folded(code): fault for fault, codes in CODES.items() for code in codes}

WORDS = {
    Fault.MONEY: (
        r"credit balance is too low|insufficient[ _-](?:account[ _-])?(?:balance|credits?|funds|quota)"
        r"|(?:balance|credits?|funds) (?:is|are|has been|have been) (?:insufficient|exhausted|depleted|used up|too low|"
        r"not enough)|not enough (?:credits?|funds|balance)|(?:out of|no (?:more )?|ran out of) (?:credits?|funds)"
        r"|used all (?:of )?(?:your |available )*(?:credits?|balance)|spend(?:ing)?[ -]limit|requires more credits"
        r"|payment required|overdue|arrears|account is (?:not active|suspended)|(?:top|topping) up your|usage limits?\b"
        r"|purchase (?:more )?credits|budget has been exceeded|exceeded (?:your|the) (?:monthly|included|free)"
        r"|exceeded your current quota|余额不足|欠费|good standing"
    ),
    Fault.KEY: (
        r"api[ _-]?key (?:is )?(?:not valid|invalid|expired|not found|missing|required)|invalid authentication"
        r"|(?:incorrect|invalid|expired|missing|no|wrong) (?:auth(?:entication)? )?(?:api[ _-]?key|credentials)"
    ),
    Fault.CONTENT: (
        r"content (?:management )?policy|content[ _-]filter|content exists risk|(?:was|been|input) flagged|moderation"
        r"|inappropriate content|safety (?:system|policy|policies|filter)|usage polic|sensitive (?:content|word|info)"
        r"|prohibited content|responsible ai"
    ),
    Fault.TOO_LONG: (
        r"context (?:length|window|size)|(?:maximum|max) (?:context|input|prompt|sequence|model|token)"
        r"|(?:prompt|input|request|message)s? (?:is |are |was )?(?:too (?:long|large)|exceeds?)"
        r"|too many (?:input )?tokens|token limit|reduce the length|input length|max_model_len|max_position"
    ),
    Fault.RATE: r"rate[ _-]?limit|too many requests|throttl|overload|at capacity|capacity exceeded|server is busy",
    Fault.PASSING: (
        r"try (?:it |this )?again|retry|temporar|timed? ?out|unavailable|\bbusy\b|loading|warming|not ready|starting up"
        r"|upstream|internal (?:server )?error|bad gateway|network error|connection|server error|provider returned"
    ),
}
BY_WORDS = {fault: re.compile(words, re.IGNORECASE) for fault, words in WORDS.items()}
STATUS = re.compile(r"(?<![\d.])[45]\d\d(?![\d.])")  # an HTTP status that is an error
STATUS_SAYS = {  # the kinds that the words of an error may give to a status, beyond the kind of the status itself
    401: {Fault.MONEY},
    402: set(),
    403: {Fault.MONEY, Fault.KEY, Fault.CONTENT, Fault.RATE},
    404: {Fault.RATE},
    408: set(),
    409: {Fault.RATE},
    413: set(),
    429: {Fault.MONEY},
    451: set(),
}


def fault_of(status: int | None, said: Complaint, names_wait: bool = False) -> Fault:
    """The kind of a fault. `status` is None for an error in a body of status 200.

    A quota that the server expects to be filled up (`names_wait`) is a rate, even if its words speak of money.
    """
    by_code = [BY_CODE[code] for code in said.codes if code in BY_CODE]
    status = status if status is not None else said.status
    own = BY_STATUS.get(status or 0, Fault.UNKNOWN)
    for fault in BY_WORDS:
        if fault in by_code and _may_be(fault, status):
            return fault
    allowed = STATUS_SAYS.get(status or 0, set(BY_WORDS)) if (status or 0) < 500 else {Fault.MONEY}
    spoken = next((fault for fault, words in BY_WORDS.items() if fault in allowed and words.search(said.message)), own)
    return own if spoken == Fault.MONEY and names_wait else spoken


def fault_named(word: str) -> Fault | None:
    """The kind of fault that one word names, as a finish reason may: a code, a status, or the words of a message.

    "rate_limited" -> rate, "503" -> rate, "connection_lost" -> passing, "insufficient_quota" -> money, "banana" -> None
    """
    if fault := BY_CODE.get(folded(word)):
        return fault
    if status := STATUS.search(word):
        return BY_STATUS.get(int(status[0]), Fault.UNKNOWN)
    spoken = word.replace("_", " ")
    return next((fault for fault, words in BY_WORDS.items() if words.search(spoken)), None)


def _may_be(fault: Fault, status: int | None) -> bool:
    """Whether a code may change the kind of a status: a rate is no lack of room, and a wrong key no busy server."""
    if fault == Fault.MONEY:
        return True
    if status in (413, 429):
        return status == 429 and fault == Fault.RATE
    if status in (401, 402, 404):
        return fault == Fault.KEY
    return True


def may_heal(error_code: str | None) -> bool:
    """Whether another run should send the request of a failed reply again: always, unless it can never succeed."""
    return error_code is not None and error_code not in FINAL
