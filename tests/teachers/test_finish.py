"""The words for the end of an answer."""

import json

import pytest

from distill_dagster.teachers.completion import read_reply
from distill_dagster.teachers.finish import meaning_of
from distill_dagster.teachers.protocol import Request
from distill_dagster.teachers.received import receive

REQUEST = Request("h", [{"role": "user", "content": "twelve chars"}])

ENDS = [
    *((word, "stop") for word in ("stop", "eos", "eos_token", "end_turn", "stop_sequence", "complete", "COMPLETE")),
    *((word, "stop") for word in ("STOP", "FinishReason.STOP", "FINISH_REASON_STOP", "eosFound", "stopStringFound")),
    *((word, "stop") for word in ("endoftext", "done", "normal", "tool_calls", "function_call", " Stop ", "eot")),
    *((word, "stop") for word in (None, "", "null", "none", {"type": "stop", "matched": 2}, {"type": None})),
    *((word, "length") for word in ("length", "max_tokens", "MAX_TOKENS", "model_length", "maxPredictedTokensReached")),
    *((word, "length") for word in ("model_context_window_exceeded", "ERROR_LIMIT", {"type": "length", "length": 9})),
    *((word, "content_filter") for word in ("content_filter", "SAFETY", "RECITATION", "content_filter: SAFETY")),
    *((word, "content_filter") for word in ("content_filter: PROHIBITED_CONTENT", "sensitive", "guardrail_intervened")),
    ("refusal", "refusal"),
    *((word, word) for word in ("banana", "OTHER", "LANGUAGE")),
    (["stop"], "['stop']"),
    (1, "1"),
]


@pytest.mark.parametrize(("given", "end"), ENDS)
def test_each_word_has_one_meaning_and_an_unknown_one_is_kept(given, end):
    body = {"choices": [{"message": {"content": "4"}, "finish_reason": given}]}
    assert meaning_of(given) == end
    assert read_reply(receive(json.dumps(body).encode()), REQUEST).finish_reason == end


def test_an_end_that_is_not_given_at_all_is_the_end_of_a_text():
    assert read_reply(receive(b'{"choices": [{"message": {"content": "4"}}]}'), REQUEST).finish_reason == "stop"


@pytest.mark.parametrize("word", ["network_error", "error", "abort", "timeout", "cancelled", "overloaded", "eviction"])
def test_what_sounds_like_an_interruption_is_one(word):
    assert meaning_of(word) == "interrupted"


TRANSIENT = [
    *("rate_limited", "rate_limit", "throttled", "too_many_requests", "quota_exceeded", "concurrency_limit_reached"),
    *("deadline_exceeded", "request_timeout", "timedOut", "expired", "network", "connection_lost", "connectionReset"),
    *("stream_closed", "client_disconnected", "broken_pipe", "premature_close", "worker_lost", "gateway"),
    *("503", 503, "429", "HTTP_502", "error: 500", "FinishReason.SERVER_BUSY", "model_not_ready", "retry", "stalled"),
    *(
        "out_of_memory",
        "oom",
        "unreachable",
        "server_restart",
        "insufficient_quota",
        "invalid_api_key",
        {"type": "rate_limited"},
    ),
]


@pytest.mark.parametrize("word", TRANSIENT)
def test_a_word_that_names_a_fault_is_an_interruption(word):
    assert meaning_of(word) == "interrupted"


@pytest.mark.parametrize(
    ("word", "end"),
    [
        ("content_policy_violation", "content_filter"),
        ("input_flagged", "content_filter"),
        ("max_tokens_exceeded", "length"),
        ("token_limit_reached", "length"),
        *((word, word) for word in ("exchange", "installed", "room", "200", "5030", "almost")),
    ],
)
def test_a_word_that_names_a_filter_or_a_limit_is_no_interruption_nor_is_one_that_looks_alike(word, end):
    assert meaning_of(word) == end


@pytest.mark.parametrize("given", [None, "", "banana", {}])
def test_without_a_text_nothing_has_ended(given):
    assert meaning_of(given, has_text=False) == "interrupted"
    assert meaning_of("stop", has_text=False) == "stop"
    assert meaning_of("content_filter", has_text=False) == "content_filter"
