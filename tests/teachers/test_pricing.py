"""What a reply costs: cached prompt tokens and batches have prices of their own."""

import pytest

from distill_dagster.config import EndpointConfig, GenerationConfig, PriceConfig
from distill_dagster.teachers.endpoint import ApiTeacher
from distill_dagster.teachers.protocol import Request
from distill_dagster.teachers.usage import cached_tokens

PRICE = {"prompt": 1_000_000, "completion": 2_000_000, "cached_prompt": 100_000}


@pytest.mark.parametrize(
    ("usage", "cached"),
    [
        ({"prompt_tokens_details": {"cached_tokens": 7}}, 7),
        ({"prompt_cache_hit_tokens": 7, "prompt_cache_miss_tokens": 5}, 7),
        ({"cached_tokens": 7}, 7),
        ({"prompt_tokens_details": {"cached_tokens": 7}, "prompt_cache_hit_tokens": 7}, 7),
        ({"prompt_tokens_details": None}, 0),
        ({"prompt_tokens_details": {"cached_tokens": "7"}}, 7),
        ({"prompt_tokens_details": {"cached_tokens": -7}}, 0),
        ({"prompt_tokens_details": {"cached_tokens": float("nan")}}, 0),
        ({"cached_tokens": [7]}, 0),
        ({}, 0),
        (["cached_tokens"], 0),
        (None, 0),
        ("cached_tokens", 0),
        ({"cached_tokens": 2**31}, 0),
    ],
)
def test_cached_tokens_are_read_as_each_provider_counts_them(usage, cached):
    assert cached_tokens(usage) == cached


def test_prices():
    price = PriceConfig(**PRICE, batch_discount=0.5)
    assert price.cost(10, 3) == 10 + 6
    assert price.cost(10, 3, cached_tokens=4) == pytest.approx(6 + 0.4 + 6)
    assert price.cost(10, 3, cached_tokens=99) == pytest.approx(1 + 6), "never more than the prompt has"
    assert price.cost(10, 3, cached_tokens=4, batch=True) == pytest.approx(12.4 / 2)
    assert PriceConfig(prompt=1_000_000).cost(10, 0, cached_tokens=4) == 10, "without a price they cost as others"


@pytest.mark.parametrize("stream", [False, True])
def test_a_reply_with_cached_tokens_costs_less(server, stream):
    server.script(cached=3)
    endpoint = EndpointConfig(url=server.url, model="made", price=PriceConfig(**PRICE), stream=stream)
    replies = []
    asked = [Request("h", [{"role": "user", "content": "five words of a prompt"}])]
    ApiTeacher(endpoint, GenerationConfig()).answer(asked, replies.append)
    assert (replies[0].prompt_tokens, replies[0].completion_tokens) == (5, 2)
    assert replies[0].cost_usd == pytest.approx(2 + 3 * 0.1 + 4)
