"""Prompt tokens that the provider read from its cache, which cost less than others (`price.cached_prompt`).

OpenAI, vLLM    "usage": {"prompt_tokens": 1200, "prompt_tokens_details": {"cached_tokens": 1024}}
DeepSeek        "usage": {"prompt_tokens": 1200, "prompt_cache_hit_tokens": 1024}
Moonshot        "usage": {"prompt_tokens": 1200, "cached_tokens": 1024}
"""

import json
from typing import Any


def cached_tokens(content: bytes) -> int:
    """The cached prompt tokens that the body of a completion counts; 0 if it counts none."""
    if b"cache" not in content:
        return 0
    try:
        usage = json.loads(content).get("usage")
    except (ValueError, AttributeError):
        return 0
    usage = usage if isinstance(usage, dict) else {}
    details = usage.get("prompt_tokens_details")
    given = details.get("cached_tokens") if isinstance(details, dict) else None
    counts = [_count(value) for value in (given, usage.get("prompt_cache_hit_tokens"), usage.get("cached_tokens"))]
    return max(counts)


def _count(value: Any) -> int:
    return max(0, int(value)) if isinstance(value, int | float) and value == value and abs(value) < 2**31 else 0
