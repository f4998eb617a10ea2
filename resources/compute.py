"""Runs an asset's worker on the devices that its need declares. All work of assets goes through here.

An asset never loads a model. Dagster injects a `Compute` for its kind of work, with that kind's need of devices, and
the asset asks it to run a worker of `distill_dagster.workers`. The backend decides where that happens:

    inline       in the asset's process; models stay loaded between shards. CPU, tests, `distill-dagster run`.
    subprocess   a Dagster Pipes child that sees only the leased devices and gives their memory back at its end.
"""

import sys
from typing import Literal

import dagster as dg

from distill_dagster import errors
from distill_dagster.config import Need
from distill_dagster.progress import is_heard, listen, log_listener
from distill_dagster.resources.gpu import GpuPool, ordinal
from distill_dagster.store.result import Result, Spec
from distill_dagster.workers import WORKERS, run_worker

Context = dg.AssetExecutionContext | dg.AssetCheckExecutionContext
NO_DEVICE = Need(gpus=0, memory_gb=0, cpu=True)


def run_here(context: Context, worker: str, spec: Spec, device: str) -> Result:
    """Run a worker in this process; its progress goes to the run's log, unless it has a listener already."""
    if is_heard():
        return run_worker(worker, spec, device)
    with listen(log_listener(context.log.info)):
        return run_worker(worker, spec, device)


class Compute(dg.ConfigurableResource):
    """Runs workers for one kind of step.

    Example:
        >>> compute = Compute.of(Need(gpus=1, cpu=True), GpuPool(devices=[]), backend="inline")
        >>> compute.run(context, "generate_shard", spec).counts
        GenerateCounts(rows=250, ok=250, failed=0)
    """

    pool: GpuPool
    backend: Literal["inline", "subprocess"] = "inline"
    gpus: int = 1  # the need, field by field
    memory_gb: float = 0.0
    cpu: bool = True

    @classmethod
    def of(cls, need: Need, pool: GpuPool, backend: Literal["inline", "subprocess"]) -> "Compute":
        """The compute of one kind of step."""
        return cls(pool=pool, backend=backend, **need.model_dump())

    @property
    def need(self) -> Need:
        """The devices and memory that are leased for each run of a worker."""
        return Need(gpus=self.gpus, memory_gb=self.memory_gb, cpu=self.cpu)

    def run(self, context: Context, worker: str, spec: Spec) -> Result:
        """Lease what the need declares, run the worker there, and return its result.

        Nothing is leased for a spec that needs no device.

        Raises:
            UserError: the worker refused the spec, in this process or in a child.
            ComputeError: the machine lacks what the need declares.
        """
        with self.pool.lease(self.need if spec.needs_device else NO_DEVICE) as devices:
            if len(devices) > 1:
                raise errors.ComputeError(f"{len(devices)} GPUs were asked for, {worker} uses one: set its `gpus` to 1")
            context.log.info(f"{worker} runs {self.backend} on {', '.join(f'GPU {d}' for d in devices) or 'the CPU'}")
            if self.backend == "subprocess":
                result = self._run_child(context, worker, spec, devices)
            else:
                result = run_here(context, worker, spec, f"cuda:{ordinal(devices[0])}" if devices else "cpu")
            return result.with_lease(devices)

    def _run_child(self, context: Context, worker: str, spec: Spec, devices: list[str]) -> Result:
        invocation = dg.PipesSubprocessClient().run(
            context=context.op_execution_context,
            command=[sys.executable, "-m", "distill_dagster.workers"],
            env={"CUDA_VISIBLE_DEVICES": ",".join(devices), "CUDA_DEVICE_ORDER": "PCI_BUS_ID"},
            extras={
                "worker": worker,
                "device": "cuda:0" if devices else "cpu",
                "spec": spec.model_dump(mode="json"),
            },
        )
        for message in invocation.get_custom_messages():
            if "result" in message:
                return WORKERS[worker].result.model_validate(message["result"])
            if "error" in message:
                raise getattr(errors, message["error"], errors.UserError)(message["message"])
        raise errors.ComputeError(f"{worker} ended without a result; its log is above")
