"""Why a reply ended: the words of all servers as one closed table.

    "stop", "eos", "end_turn", "COMPLETE", FinishReason.STOP     stop            the model ended the answer
    "max_tokens", "MAX_TOKENS", "model_length"                   length          a limit did
    "SAFETY", "content_filter: PROHIBITED_CONTENT"               content_filter  a filter did
    "refusal"                                                    refusal         the model declined
    "network_error", "abort", "rate_limited", "503"              interrupted     something failed: ask again
    null, "unspecified"                                          stop with a text, else interrupted
    "banana"                                                     its own word: the filters refuse the answer and show it

A word that is not in the table says an interruption if faults.py knows it as a fault, or if it sounds like one. Without
any text it is one too, because there is nothing to keep.
"""

import re
from functools import lru_cache
from typing import Any

from distill_dagster.teachers.faults import Fault, fault_named

STOP, LENGTH, CONTENT_FILTER, REFUSAL, INTERRUPTED = "stop", "length", "content_filter", "refusal", "interrupted"
LONGEST_WORD = 100  # characters of a word that is stored

WORDS = {  # folded as by `_folded`
    STOP: {
        *("stop", "stopped", "eos", "eos_token", "eos_found", "eot", "end", "endoftext", "end_of_text", "end_turn"),
        *("stop_sequence", "stop_sequences", "stop_string", "stop_string_found", "stop_token", "stop_word", "word"),
        *("complete", "completed", "completion", "done", "finish", "finished", "normal", "success", "ok", "natural"),
        *("tool_calls", "tool_call", "tool_use", "function_call", "function_calls"),  # of a tool that was not offered
    },
    LENGTH: {
        *("length", "max_length", "model_length", "max_tokens", "max_token", "max_new_tokens", "max_output_tokens"),
        *("max_completion_tokens", "max_predicted_tokens_reached", "token_limit", "tokens_limit", "limit"),
        *("context_length", "context_length_reached", "context_length_exceeded", "model_context_window_exceeded"),
        *("context_window_exceeded", "max_context_length", "error_limit", "length_capped", "truncated"),
    },
    CONTENT_FILTER: {
        *("content_filter", "content_filtered", "content_filter_error", "filter", "filtered", "flagged", "moderation"),
        *("safety", "safety_filter", "recitation", "blocklist", "block_list", "blocked", "prohibited_content", "spii"),
        *("image_safety", "image_prohibited_content", "image_recitation", "sensitive", "sensitive_content", "risk"),
        *("guardrail_intervened", "guardrails", "guardrail", "error_toxic", "policy_violation", "content_policy"),
        *("model_armor", "violation"),
    },
    REFUSAL: {"refusal", "refused", "declined"},
    INTERRUPTED: {"pause_turn", "load", "unload", "not_finished", "in_progress", "queued", "pending", "incomplete"},
}
MEANING = {word: meaning for meaning, words in WORDS.items() for word in words}
UNSAID = {"", "null", "none", "unspecified", "unknown", "undefined"}
SOUNDS_INTERRUPTED = re.compile(
    r"error|fail|abort|cancel|interrupt|time_?(?:d_)?(?:out|limit)|overload|unavailable|resource|disconn|capacity"
    r"|exception|busy|crash|kill|preempt|unload|shut_?down|evict|user_stop|exhaust|network|broken"
    r"|reset|dropped|(?:stream|socket|connection|session|channel|client)_?closed?|premature|gateway|backend|deadline"
    r"|expired|restart|quota|unreachable|out_of_memory|offline|maintenance|concurrency|partial"
    r"|(?:^|_)(?:lost|stall|hang|hung|oom)"
)
AS_FAULT = {Fault.CONTENT: CONTENT_FILTER, Fault.TOO_LONG: LENGTH}  # any other fault is an interruption
FOLDS = re.compile(r"(?<=[a-z])(?=[A-Z])|[\s\-]+")
PREFIX = re.compile(r"^(?:.*\.)?(?:finish_?reason_+)?")


def meaning_of(given: Any, has_text: bool = True) -> str:
    """The end that a server means: one of the five above, or its own word.

    `given` is the value of `finish_reason`, of any type.
    """
    word = word_of(given)
    known = _known("" if word is None else str(word)[:LONGEST_WORD])
    if known == "":
        return STOP if has_text else INTERRUPTED
    return known if known in WORDS or has_text else INTERRUPTED


def word_of(given: Any) -> Any:
    """The word in a finish reason: SGLang gives an object with the field `type`."""
    return given.get("type") if isinstance(given, dict) else given


@lru_cache(maxsize=1024)
def _known(word: str) -> str:
    """The meaning of a word, "" if it says nothing, or the word itself."""
    folded = PREFIX.sub("", FOLDS.sub("_", word.strip()).casefold().partition(":")[0])
    if folded in UNSAID:
        return ""
    return MEANING.get(folded) or _unlisted(folded) or word


def _unlisted(folded: str) -> str | None:
    """The meaning of a word that the table lacks, None if it has none."""
    if fault := fault_named(folded):
        return AS_FAULT.get(fault, INTERRUPTED)
    return INTERRUPTED if SOUNDS_INTERRUPTED.search(folded) else None
