"""`distill-dagster plan`, as tables for a terminal."""

from distill_dagster.cli.console import Grid, table
from distill_dagster.planning.plan import Plan, ShardPlan
from distill_dagster.teachers.money import usd


def plan_tables(plan: Plan) -> list[Grid]:
    """A table of what would be made and why, and one of the requests of each shard."""
    steps = [[step.title, step.state, ", ".join(step.why)] for step in plan.steps if not step.is_fresh]
    tables = [table("What a run would make", ["artefact", "state", "because of"], steps)] if steps else []
    parts = [*plan.shards, *(part for part in (plan.benchmark, plan.speed, plan.judgement) if part)]
    if parts:
        both = plan.total.single_usd != plan.total.batch_usd
        shards = [_cells(part, both) for part in [*parts, *([plan.total] if len(parts) > 1 else [])]]
        columns = ["shard", "rows", "new requests", "answered before", "prompt tokens", "completion tokens", "cost"]
        columns += ["one by one", "in batches"] if both else []
        tables.append(table("What teachers and judges would be asked", columns, shards))
    return tables


def closing_lines(plan: Plan) -> list[str]:
    """Time, money, and the rules behind the estimates."""
    if all(step.is_fresh for step in plan.steps):
        return ["Nothing is stale: a run would make nothing."]
    lines = [f"time with the teacher: {_duration(plan.seconds)}"]
    if plan.budget_usd is not None:
        lines.append(f"budget: {usd(plan.budget_usd)}, {usd(plan.spent_usd)} spent so far")
    if plan.total.by_limit:
        lines.append(f"{plan.total.cost} is an upper bound: every answer counts with its longest length")
    if plan.sweep:
        lines.append(plan.sweep.words)
    return [*lines, *plan.rules]


def _cells(shard: ShardPlan, both_prices: bool) -> list[str]:
    counts = (shard.rows, shard.new, shard.reused, shard.prompt_tokens, shard.completion_tokens)
    both = [shard.in_words(price) for price in (shard.single_usd, shard.batch_usd)] if both_prices else []
    return [shard.shard, *(f"{count:,}" for count in counts), shard.cost, *both]


def _duration(seconds: float | None) -> str:
    if seconds is None:
        return "not known"
    return f"about {seconds:.0f} s" if seconds < 120 else f"about {seconds / 60:.0f} min"
