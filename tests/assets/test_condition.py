"""The condition by which Dagster acts by itself, tick by tick, on a chain of small assets: source, first, second."""

import dagster as dg
import pytest

from distill_dagster.assets.condition import rerun_when_inputs_change

CHAIN = ("first", "second")


class Chain:
    """source -> first -> second; what a run makes of `first` is what the source was at that time."""

    def __init__(self, instance: dg.DagsterInstance) -> None:
        self.instance, self.cursor, self.source, self.code = instance, None, "", "1"

    def assets(self) -> list[dg.AssetsDefinition]:
        def make(name: str, dep: str) -> dg.AssetsDefinition:
            @dg.asset(name=name, deps=[dep], code_version=self.code, automation_condition=rerun_when_inputs_change())
            def made() -> dg.MaterializeResult:
                return dg.MaterializeResult(data_version=dg.DataVersion(self.source))

            return made

        return [make("first", "source"), make("second", "first")]

    def change(self, version: str) -> None:
        """Let the source be this, and report it."""
        self.source = version
        event = dg.AssetMaterialization("source", tags={"dagster/data_version": version})
        self.instance.report_runless_asset_event(event)

    def tick(self) -> list[str]:
        """What is asked for."""
        defs = dg.Definitions([dg.AssetSpec("source"), *self.assets()])
        result = dg.evaluate_automation_conditions(defs, instance=self.instance, cursor=self.cursor)
        self.cursor = result.cursor
        return [name for name in CHAIN if result.get_num_requested(dg.AssetKey(name))]

    def run(self, *names: str) -> None:
        assert dg.materialize(self.assets(), instance=self.instance, selection=list(names)).success

    def follow(self) -> list[list[str]]:
        """Run what the ticks ask for, until two of them ask for nothing; returns what they asked for."""
        asked, quiet = [], 0
        while quiet < 2:
            names = self.tick()
            if names:
                self.run(*names)
                asked.append(names)
            quiet = 0 if names else quiet + 1
        return asked


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
