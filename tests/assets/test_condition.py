"""The condition by which Dagster acts by itself, tick by tick, on a chain of small assets: source, first, second."""

import pytest

from testing.chain import Chain


@pytest.fixture
def chain(instance):
    return Chain(instance)


def test_what_is_missing_at_the_first_look_is_made_one_after_the_other(chain):
    chain.change("v1")
    assert chain.follow() == [["first"], ["second"]]


def test_what_was_made_by_hand_before_the_first_look_is_not_asked_for(chain):
    chain.change("v1")
    chain.run("first", "second")
    assert chain.follow() == []


def test_a_change_is_followed_once_and_an_equal_result_by_nobody(chain):
    chain.change("v1")
    chain.follow()
    chain.change("v2")
    assert chain.follow() == [["first"], ["second"]]
    chain.change("v3")
    chain.source = "v2"  # what comes out is the same
    assert chain.follow() == [["first"]]


def test_a_change_between_a_request_and_the_next_tick_is_asked_for_again(chain):
    chain.change("v1")
    chain.follow()
    chain.change("v2")
    assert chain.tick() == ["first"]
    chain.run("first")
    chain.change("v3")  # the run that was asked for did not see it
    assert chain.follow() == [["first"], ["second"]]


def test_a_chain_whose_settings_change_is_made_in_its_order(chain):
    chain.change("v1")
    chain.follow()
    chain.code = "2"
    assert chain.follow() == [["first"], ["second"]]


def test_an_observation_of_an_asset_asks_for_nothing(chain):
    """A training reports its curve as observations, which must make nothing downstream again."""
    chain.change("v1")
    chain.follow()
    for step in range(3):
        chain.observe("first", step)
        assert chain.tick() == []
    chain.change("v2")
    assert chain.follow() == [["first"], ["second"]]


def test_an_observation_does_not_count_as_made(chain):
    """What waits for an asset waits on while that only reports its curve."""
    chain.change("v1")
    chain.follow()
    chain.change("v2")
    assert chain.tick() == ["first"]
    for step in range(3):  # its run has not ended
        chain.observe("first", step)
        assert chain.tick() == []
    chain.run("first")
    assert chain.follow() == [["second"]]
