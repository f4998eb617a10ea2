"""The tokens that a server counted, as the provider bills them; those read from its cache may cost less.

    {"prompt_tokens": 690, "completion_tokens": 10, "total_tokens": 736}      690 and 46: with the thoughts
    {"input_tokens": 12, "output_tokens": "2"}                                12 and 2
    {"prompt_tokens": 33, "completion_tokens": 7, "total_tokens": 40,
     "reasoning_tokens": 74}                                                  33 and 81: the 7 cannot hold the 74
    {"prompt_tokens": 33, "completion_tokens": 9, "citation_tokens": 20,
     "reasoning_tokens": 5}                                                   53 and 14: Perplexity's deep research
    {"prompt_tokens": {"text": 12}}                                           not counted
    {"total_tokens": 736}                                                     not counted, but 736 together

    "prompt_tokens_details": {"cached_tokens": 1024}                          1024 of the prompt's, OpenAI and vLLM
    "prompt_cache_hit_tokens": 1024, "cached_tokens": 1024                    the same, DeepSeek and Moonshot

Some servers leave the thoughts out of `completion_tokens`, but not out of the total; others leave them out of both. A
count that is no number, or none that a table can hold, is no count.
"""

from collections.abc import Mapping
from typing import Any

MOST = 2**31 - 1  # tokens: an int32 column


def billed_tokens(usage: Any) -> tuple[int | None, int | None]:
    """Prompt and completion tokens, None where the server did not count them; no value makes this raise."""
    given = usage if isinstance(usage, Mapping) else {}
    prompt = _count(given, "prompt_tokens", "input_tokens")
    completion = _count(given, "completion_tokens", "output_tokens")
    total, thoughts, cited = total_tokens(given), _thoughts(given), _count(given, "citation_tokens")
    if prompt is None and total is not None and completion is not None:
        prompt = max(0, total - completion)
    beyond = total - prompt if total is not None and prompt is not None else None
    is_apart = cited is not None or thoughts > (completion or 0)
    apart = thoughts + (completion or 0) if thoughts and is_apart else None
    counted = [count for count in (completion, beyond, apart) if count is not None]
    prompt = prompt if prompt is None or cited is None else prompt + cited  # texts that a search put into the prompt
    return _held(prompt), _held(max(0, *counted)) if counted else None


def total_tokens(usage: Any) -> int | None:
    """Prompt and completion together as the server counted them, for one that counts nothing else."""
    return _count(usage, "total_tokens") if isinstance(usage, Mapping) else None


def _held(count: int | None) -> int | None:
    """A sum of counts, as many as a table can hold."""
    return None if count is None else min(count, MOST)


def cached_tokens(usage: Any) -> int:
    """Prompt tokens that the provider read from its cache (`price.cached_prompt`); 0 if it counts none."""
    given = usage if isinstance(usage, Mapping) else {}
    details = given.get("prompt_tokens_details")
    inner = _count(details, "cached_tokens") if isinstance(details, Mapping) else None
    return max(inner or 0, *(_count(given, name) or 0 for name in ("prompt_cache_hit_tokens", "cached_tokens")))


def _thoughts(usage: Mapping[str, Any]) -> int:
    """The tokens of the thoughts, 0 if the server did not count them."""
    details = usage.get("completion_tokens_details") or usage.get("output_tokens_details")
    names = ("reasoning_tokens", "thoughts_tokens", "thinking_tokens")
    inner = _count(details, *names) if isinstance(details, Mapping) else None
    return inner or _count(usage, *names) or 0


def _count(usage: Mapping[str, Any], *names: str) -> int | None:
    """The first of these fields that is a count."""
    for name in names:
        value = usage.get(name)
        if isinstance(value, str) and value.strip().isascii() and value.strip().isdigit() and len(value) < 12:
            value = int(value)
        if isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= MOST:
            return int(value)
    return None
