"""What holds a request back, tick by tick: a dependency whose run failed, a check that crashed, a shard that went."""

import dagster as dg
import pytest
from dagster._core.events import StepMaterializationData  # what a step reports; there is no public way to make one
from dagster._core.execution.api import create_execution_plan
from dagster._core.storage.asset_check_execution_record import AssetCheckExecutionRecordStatus

from distill_dagster.assets.condition import rerun_when_inputs_change
from distill_dagster.operations.returning import VERSION_TAG
from testing.chain import Chain

pytestmark = pytest.mark.slow

SOUND = dg.AssetCheckKey(dg.AssetKey("first"), "sound")


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

    def cancelled(self, made: str | None = None) -> dg.DagsterRun:
        """A run of `first` that is ended before its checks, at the latest when it has made this version."""
        job = self.definitions().resolve_implicit_global_asset_job_def()
        job = job.get_subset(asset_selection={dg.AssetKey("first")})
        plan = create_execution_plan(job)
        run = self.instance.create_run_for_job(job, execution_plan=plan, asset_selection=job.asset_selection)
        if made:
            asset = dg.AssetMaterialization("first", tags={VERSION_TAG: made})
            data = StepMaterializationData(asset, [])
            event = dg.DagsterEvent(
                dg.DagsterEventType.ASSET_MATERIALIZATION.value, run.job_name, event_specific_data=data
            )
            self.instance.report_dagster_event(event, run.run_id)
        self.instance.report_run_canceled(run)
        return run


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
    chain.cancelled()
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
    run = chain.cancelled(made="v2")
    (found,) = chain.instance.event_log_storage.get_asset_check_execution_history(SOUND, limit=1)
    assert (found.run_id, found.status) == (run.run_id, AssetCheckExecutionRecordStatus.PLANNED)
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


SHARDS = dg.DynamicPartitionsDefinition(name="shards")


class Shards:
    """source[shard] -> answers[shard] -> union; runs of `answers` for the shards in `broken` fail."""

    def __init__(self, instance: dg.DagsterInstance) -> None:
        self.instance, self.cursor, self.versions, self.broken = instance, None, {}, set()

    def definitions(self) -> dg.Definitions:
        @dg.asset(partitions_def=SHARDS, deps=["source"], automation_condition=rerun_when_inputs_change())
        def answers(context: dg.AssetExecutionContext) -> dg.MaterializeResult:
            if context.partition_key in self.broken:
                raise RuntimeError("the endpoint is down")
            return dg.MaterializeResult(data_version=dg.DataVersion(self.versions[context.partition_key]))

        @dg.asset(deps=[answers], automation_condition=rerun_when_inputs_change())
        def union() -> None: ...

        return dg.Definitions([dg.AssetSpec("source", partitions_def=SHARDS), answers, union])

    def change(self, shard: str, version: str) -> None:
        self.instance.add_dynamic_partitions("shards", [shard])
        self.versions[shard] = version
        event = dg.AssetMaterialization("source", partition=shard, tags={VERSION_TAG: version})
        self.instance.report_runless_asset_event(event)

    def follow(self) -> list[list[tuple[str, str | None]]]:
        """Run what the ticks ask for, until two of them ask for nothing; returns what they asked for."""
        everything, quiet = [], 0
        while quiet < 2:
            definitions = self.definitions()
            tick = dg.evaluate_automation_conditions(definitions, instance=self.instance, cursor=self.cursor)
            self.cursor = tick.cursor
            asked = [
                (name, shard)
                for name in ("answers", "union")
                for shard in sorted(tick.get_requested_partitions(dg.AssetKey(name)), key=str)
            ]
            for name, shard in asked:
                definitions.resolve_implicit_global_asset_job_def().execute_in_process(
                    instance=self.instance,
                    asset_selection=[dg.AssetKey(name)],
                    partition_key=shard,
                    raise_on_error=False,
                )
            everything += [asked] if asked else []
            quiet = 0 if asked else quiet + 1
        return everything


@pytest.fixture
def sharded(instance):
    sharded = Shards(instance)
    sharded.change("a", "v1")
    sharded.change("b", "v1")
    assert sharded.follow() == [[("answers", "a"), ("answers", "b")], [("union", None)]]
    sharded.broken.add("b")
    sharded.change("a", "v2")
    sharded.change("b", "v2")
    assert sharded.follow() == [[("answers", "a"), ("answers", "b")]], "the union would be of b's old answers"
    return sharded


def test_the_union_waits_for_a_shard_whose_run_failed_and_is_made_when_that_is_repaired(sharded):
    sharded.broken.clear()
    sharded.change("b", "v3")
    assert sharded.follow() == [[("answers", "b")], [("union", None)]]


def test_the_union_does_not_wait_for_a_shard_that_failed_and_was_removed(sharded):
    sharded.instance.delete_dynamic_partition("shards", "b")
    assert sharded.follow() == [[("union", None)]]
