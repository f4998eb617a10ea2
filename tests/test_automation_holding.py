"""What holds a request back, tick by tick: a dependency whose run failed, a check that crashed, a shard that is gone."""

import dagster as dg
import pytest

from assets.automation import rerun_when_inputs_change
from tests.test_automation_condition import Chain

SHARDS = dg.DynamicPartitionsDefinition(name="shards")
B = "b"


class Checked(Chain):
    """source -> first -> second; `first` has blocking checks, and runs of it can fail."""

    broken = False  # the run of `first` raises
    checks: tuple[str, ...] = ()
    verdict: bool | None = True  # None: the check raises

    def assets(self) -> list[dg.AssetsDefinition]:
        first, second = super().assets()

        @dg.asset(
            name="first", deps=["source"], code_version=self.code, automation_condition=rerun_when_inputs_change()
        )
        def broken() -> None:
            raise RuntimeError("the endpoint is down")

        return [broken if self.broken else first, second]

    def check(self, name: str) -> dg.AssetChecksDefinition:
        @dg.asset_check(asset="first", name=name, blocking=True)
        def look() -> dg.AssetCheckResult:
            if self.verdict is None:
                raise RuntimeError("the check has a bug")
            return dg.AssetCheckResult(passed=self.verdict)

        return look

    def definitions(self) -> dg.Definitions:
        checks = [self.check(name) for name in self.checks]
        return dg.Definitions([dg.AssetSpec("source"), *self.assets()], asset_checks=checks)

    def tick(self) -> list[str]:
        result = dg.evaluate_automation_conditions(self.definitions(), instance=self.instance, cursor=self.cursor)
        self.cursor = result.cursor
        return [name for name in ("first", "second") if result.get_num_requested(dg.AssetKey(name))]

    def run(self, *names: str) -> None:
        job = self.definitions().resolve_implicit_global_asset_job_def()
        keys = [dg.AssetKey(name) for name in names]
        job.execute_in_process(instance=self.instance, asset_selection=keys, raise_on_error=False)


@pytest.fixture
def chain(instance):
    chain = Checked(instance)
    chain.change("v1")
    assert chain.follow() == [["first"], ["second"]]
    return chain


def fail_first(chain):
    """New settings reach the whole chain, and the run of `first` fails."""
    chain.code, chain.broken = "2", True
    assert chain.follow() == [["first"]], "`second` is not made of what `first` was before"
    chain.broken = False


def test_what_follows_waits_while_a_dependencys_run_has_failed(chain):
    fail_first(chain)
    chain.run("first")  # by hand
    assert chain.follow() == [["second"]]


def test_a_change_after_the_failure_is_asked_for_and_lets_all_go_on(chain):
    fail_first(chain)
    chain.change("v2")
    assert chain.follow() == [["first"], ["second"]]


def test_a_run_by_hand_that_fails_with_nothing_changed_holds_nothing_up(chain):
    chain.broken = True
    chain.run("first")
    chain.broken = False
    assert chain.follow() == []
    chain.change("v2")
    assert chain.follow() == [["first"], ["second"]]


def test_a_dependency_whose_run_was_cancelled_is_waited_for(chain):
    chain.change("v2")
    chain.code = "2"
    assert chain.tick() == ["first"]
    job = chain.definitions().resolve_implicit_global_asset_job_def()
    run = chain.instance.create_run_for_job(job, asset_selection=frozenset([dg.AssetKey("first")]))
    chain.instance.report_run_canceled(run)
    assert chain.follow() == []
    chain.run("first")
    assert chain.follow() == [["second"]]


@pytest.mark.parametrize("verdict", [False, None], ids=["fails", "crashes"])
def test_a_blocking_check_that_did_not_pass_holds_up_what_follows_until_it_does(chain, verdict):
    chain.checks, chain.verdict = ("sound",), verdict
    chain.change("v2")
    assert chain.follow() == [["first"]]
    chain.verdict = True
    chain.run("first")
    assert chain.follow() == [["second"]]


def test_a_check_that_was_never_reached_because_its_run_was_cancelled_holds_up_what_follows(chain):
    chain.checks = ("sound",)
    chain.change("v2")
    assert chain.tick() == ["first"]
    job = chain.definitions().resolve_implicit_global_asset_job_def()
    run = chain.instance.create_run_for_job(job, asset_selection=frozenset([dg.AssetKey("first")]))
    made = dg.AssetMaterialization("first", tags={"dagster/data_version": "v2"})
    event = dg.DagsterEvent(
        "ASSET_MATERIALIZATION", run.job_name, event_specific_data=dg.StepMaterializationData(made, [])
    )
    chain.instance.report_dagster_event(event, run.run_id)
    chain.instance.report_run_canceled(run)
    assert chain.follow() == []
    chain.run("first")
    assert chain.follow() == [["second"]]


def test_a_blocking_check_that_was_just_added_holds_nothing_up(chain):
    chain.checks = ("sound",)
    chain.code = "2"
    chain.run("first")
    chain.follow()
    chain.checks = ("sound", "new")
    report = dg.AssetMaterialization("first", tags={"dagster/data_version": "v3"})
    chain.instance.report_runless_asset_event(report)
    assert ["second"] in chain.follow()
