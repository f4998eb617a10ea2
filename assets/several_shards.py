"""One run over several shards: it makes each in a run of its own, one after the other, in its own process.

    run of teacher_outputs, train-part-00 to train-part-03      FAILURE: train-part-02: check few_refusals: …
        run of teacher_outputs[train-part-00]                   SUCCESS
        run of teacher_outputs[train-part-01]                   SUCCESS
        run of teacher_outputs[train-part-02]                   FAILURE
        run of teacher_outputs[train-part-03]                   SUCCESS

A run that is queued waits for its turn (3 to 5 leave Dagster's queue in a second), and starts a process that imports
the libraries and loads the model. A run inside a process costs 0.3 s with SQLite and 0.7 s with PostgreSQL, and the
model stays loaded. So `automation.shards_per_run` lets backfills and the automation queue one run for several shards.

Dagster itself would make several partitions in one step, but give all of them one data version, and no partition to
their checks. With runs of their own, each shard has its version, checks, tags and alerts, as it has alone.
"""

import dagster as dg

from distill_dagster.assets.failures import OWN_RUNS, explain_failure, met_the_endpoint, was_interrupted
from distill_dagster.assets.lost_database import START_AGAIN, was_lost
from distill_dagster.assets.naming import Names
from distill_dagster.assets.run_tags import INVOCATION, host, started
from distill_dagster.config import DistillConfig
from distill_dagster.lineage.snapshot import Snapshot, shared
from distill_dagster.lineage.stages import Stage, sharded_names
from distill_dagster.store.manifest import title_of

BACKFILL = "dagster/backfill"  # the runs of the shards count as those of the backfill, which so sees what is made
OUTER_RUN = "distill/outer_run"
LONGEST_LIST = 20


def backfill_policy(stage: Stage, config: DistillConfig) -> dg.BackfillPolicy | None:
    """How many shards a run takes; None if each has a run of its own in the queue.

    Each stage has another number. Dagster puts assets of equal policies into one run, in which the second could not
    wait for each shard of the first.
    """
    if not stage.sharded or config.automation.shards_per_run == 1:
        return None
    return dg.BackfillPolicy.multi_run(config.automation.shards_per_run + sharded_names().index(stage.name))


def is_over_several(context: dg.AssetExecutionContext) -> bool:
    """Whether the run is over several shards."""
    return not context.has_partition_key


def make_each(context: dg.AssetExecutionContext, names: Names, stage: Stage, look: Snapshot) -> None:
    """Make each shard of the run, and those after one that fails too.

    Raises:
        dg.Failure: a shard failed; it names all that did. It is not tried again: the failure is not of the machine.
    """
    _require_that_it_can_work(context, stage)
    context.instance.add_run_tags(context.run.run_id, host())
    shards, failed, stopped = _shards_of(context), dict[str, str](), False
    with shared(look):
        for shard in shards:
            if not context.instance.has_dynamic_partition(names.own("shards"), shard):
                context.log.warning(f"nothing to make: the source file of {shard} was removed or renamed")
                continue
            if stopped:
                failed[shard] = "not asked, because the endpoint failed before"
                continue
            result = _make(context, names, stage, shard)
            if not result.success:
                failed[shard] = explain_failure(result)
                stopped = met_the_endpoint(result)
                if was_lost(result):
                    context.instance.add_run_tags(context.run.run_id, START_AGAIN)
            context.log.info(f"{title_of(stage.name, shard)}: {failed.get(shard, 'done')} (run {result.run_id})")
    if failed:
        said = [f"{shard}: {why}" for shard, why in failed.items()][:LONGEST_LIST]
        more = f"; and {len(failed) - len(said)} others" if len(failed) > len(said) else ""
        count = f"{len(failed)} of {len(shards)} shards failed"
        raise dg.Failure(f"{count}: {'; '.join(said)}{more}", metadata={OWN_RUNS: len(failed)}, allow_retries=False)


def _shards_of(context: dg.AssetExecutionContext) -> list[str]:
    """The shards of the run.

    Raises:
        dg.Failure: a shard at an end of the range was removed while the run waited, so Dagster cannot tell the others.
    """
    try:
        return list(context.partition_keys)
    except (dg.DagsterInvariantViolationError, dg.DagsterUnknownPartitionError) as e:
        raise dg.Failure(
            f"the run's shards are not known ({e}), as the source file of one was removed: launch it again",
            allow_retries=False,
        ) from e


def _make(context: dg.AssetExecutionContext, names: Names, stage: Stage, shard: str) -> dg.ExecuteInProcessResult:
    tags = {INVOCATION: started(context.run.tags), OUTER_RUN: context.run.run_id}
    backfill = {BACKFILL: context.run.tags[BACKFILL]} if BACKFILL in context.run.tags else {}
    result = context.op_execution_context.job_def.execute_in_process(
        instance=context.instance,
        asset_selection=[names.key(stage.name)],
        partition_key=shard,
        run_config=dict(context.run.run_config),
        raise_on_error=False,
        tags={**tags, **backfill},
    )
    if was_interrupted(result):
        raise KeyboardInterrupt
    return result


def _require_that_it_can_work(context: dg.AssetExecutionContext, stage: Stage) -> None:
    """Refuse a run of several assets, and pools that would let the run of a shard wait for this one for ever."""
    if (assets := len(context.run.asset_selection or ())) > 1:
        raise dg.Failure(
            f"a run over several shards makes one asset, and this one was to make {assets}: launch a backfill of them, "
            "which makes one run for each",
            allow_retries=False,
        )
    granularity = context.instance.get_concurrency_config().pool_config.pool_granularity
    if stage.pool and (granularity is None or granularity.value != "run"):
        raise dg.Failure(
            "`concurrency.pools.granularity` in dagster.yaml must be `run` where `automation.shards_per_run` is more "
            f"than 1, and it is {granularity.value if granularity else 'not set'}: set it, or set `shards_per_run: 1`",
            allow_retries=False,
        )
