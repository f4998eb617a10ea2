"""Money in words: nothing claims to cost 0 that has no price, and an upper bound says so."""

import pytest

from distill_dagster.config import TeacherConfig
from distill_dagster.generation.specs import GenerateResult
from distill_dagster.planning.estimate import ShardPlan
from distill_dagster.teachers.money import LOCAL, NO_PRICE, spent_so_far, usd


@pytest.mark.parametrize(
    ("amount", "words"),
    [
        (0, "0 USD"),
        (0.000004, "< 0.0001 USD"),
        (0.02, "0.0200 USD"),
        (1.2, "1.20 USD"),
        (12_345.678, "12,345.68 USD"),
    ],
)
def test_an_amount_is_never_rounded_to_nothing(amount, words):
    assert usd(amount) == words


@pytest.mark.parametrize(
    ("counts", "words"),
    [
        ({"new": 5}, "–"),
        ({"new": 0, "reused": 5}, "–"),
        ({"new": 5, "unpriced": 5}, "no price given"),
        ({"new": 5, "priced": 5, "by_limit": 5, "cost_usd": 0.02}, "at most 0.0200 USD"),
        ({"new": 5, "priced": 5, "cost_usd": 0.02}, "about 0.0200 USD"),
        ({"new": 5, "priced": 5, "by_limit": 5, "cost_usd": 0.000004}, "< 0.0001 USD"),
        ({"new": 5, "priced": 3, "unpriced": 2, "cost_usd": 2.5}, "about 2.50 USD, no price given for 2 more"),
    ],
)
def test_the_cost_of_a_plan_says_what_is_known(counts, words):
    assert ShardPlan("all", **counts).cost == words


def endpoint(**price) -> dict:
    return {"url": "http://127.0.0.1:9/v1", "model": "made", **price}


def test_what_was_spent_says_why_it_is_nothing():
    free = TeacherConfig.model_validate({"model": {"name": "/models/a"}})
    unpriced = TeacherConfig.model_validate({"endpoint": endpoint()})
    priced = TeacherConfig.model_validate({"endpoint": endpoint(price={"prompt": 1.0})})
    assert spent_so_far(0, free).startswith(LOCAL)
    assert spent_so_far(0, unpriced) == f"{NO_PRICE} for made"
    assert spent_so_far(0, priced) == "0 USD spent"
    assert spent_so_far(0.5, priced) == "0.5000 USD spent"


@pytest.mark.parametrize(
    ("billing", "cost", "shown"),
    [
        ("local", 0.0, {"cost": LOCAL}),
        ("no price", 0.0, {"cost": NO_PRICE}),
        ("priced", 0.0, {"cost_usd": 0.0, "cost_usd_of_all_rows": 0.0}),
        (None, 0.0, {"cost_usd": 0.0, "cost_usd_of_all_rows": 0.0}),
        ("local", 0.5, {"cost_usd": 0.5, "cost_usd_of_all_rows": 0.5}),
    ],
)
def test_the_ui_shows_a_number_only_for_what_has_a_price(billing, cost, shown):
    from distill_dagster.assets.views.teacher import cost_of

    result = GenerateResult.model_construct(billing=billing, cost_usd=cost, table_cost_usd=cost)
    assert cost_of(result) == shown
