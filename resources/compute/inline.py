"""Runs a worker in the asset's process. Its progress goes to the run's log, and to a terminal that listens."""

import dagster as dg

from distill_dagster.progress import listen, listen_to_points, log_listener
from distill_dagster.resources.compute.points import observer
from distill_dagster.resources.gpu import ordinal
from distill_dagster.store.result import Result, Spec
from distill_dagster.workers import run_worker

Context = dg.AssetExecutionContext | dg.AssetCheckExecutionContext


def run_inline(context: Context, worker: str, spec: Spec, devices: list[str], ranks: int = 1) -> Result:
    """Run a worker on these devices, or on the CPU if there is none."""
    assert ranks == 1, "one process is one rank"
    device, *more = [f"cuda:{ordinal(device)}" for device in devices] or ["cpu"]
    with listen(log_listener(context.log.info)), listen_to_points(observer(context)):
        return run_worker(worker, spec, device, more)
