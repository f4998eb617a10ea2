"""The one seam through which an asset gets work done: this worker, this request, on what the need declares.

An asset never loads a model. It holds a `Compute` that was injected for it, with its own need of devices, and
asks it to run a worker of `distill_dagster.workers`. Where that happens is the backend's business:

    inline       in the asset's process; models stay loaded between shards. CPU, tests, `distill-dagster run`.
    subprocess   a Dagster Pipes child that sees only the leased devices and gives their memory back at its end.
"""

import sys
from typing import Literal

import dagster as dg

from distill_dagster import errors
from distill_dagster.config import Need, Section
from distill_dagster.progress import is_heard, listen, log_listener
from distill_dagster.resources.gpu import GpuPool, ordinal
from distill_dagster.store.manifest import Produced
from distill_dagster.workers import run_worker

Context = dg.AssetExecutionContext | dg.AssetCheckExecutionContext


class Compute(dg.ConfigurableResource):
    """Runs workers for one kind of step.

    Example:
        >>> compute = Compute.of(Need(gpus=1, cpu=True), GpuPool(devices=[]), backend="inline")
        >>> compute.run(context, "generate_shard", request).counts
        {'rows': 250, 'ok': 250, 'failed': 0}
    """

    pool: GpuPool
    backend: Literal["inline", "subprocess"] = "inline"
    gpus: int = 1  # the need, field by field: Dagster shows it beside the resource
    memory_gb: float = 0.0
    cpu: bool = True

    @classmethod
    def of(cls, need: Need, pool: GpuPool, backend: Literal["inline", "subprocess"]) -> "Compute":
        """The compute of one kind of step."""
        return cls(pool=pool, backend=backend, **need.model_dump())

    @property
    def need(self) -> Need:
        """What is leased for each run of a worker."""
        return Need(gpus=self.gpus, memory_gb=self.memory_gb, cpu=self.cpu)

    def run(self, context: Context, worker: str, request: Section, on_cpu: bool = False) -> Produced:
        """Lease what the need declares (`on_cpu`: nothing), run the worker there, give back what it produced.

        Raises:
            UserError: what the worker says is wrong with the request, whichever process it ran in.
            ComputeError: the machine does not have what the need declares.
        """
        with self.pool.lease(Need(gpus=0, memory_gb=0, cpu=True) if on_cpu else self.need) as devices:
            if len(devices) > 1:
                raise errors.ComputeError(f"{len(devices)} GPUs were asked for, {worker} uses one: set its `gpus` to 1")
            context.log.info(f"{worker} runs {self.backend} on {', '.join(f'GPU {d}' for d in devices) or 'the CPU'}")
            if self.backend == "subprocess":
                produced = self._run_child(context, worker, request, devices)
            else:
                device = f"cuda:{ordinal(devices[0])}" if devices else "cpu"
                produced = self._run_inline(context, worker, request, device)
            return produced.with_lease(devices)

    def _run_inline(self, context: Context, worker: str, request: Section, device: str) -> Produced:
        if is_heard():
            return run_worker(worker, request, device)
        with listen(log_listener(context.log.info)):
            return run_worker(worker, request, device)

    def _run_child(self, context: Context, worker: str, request: Section, devices: list[str]) -> Produced:
        client = dg.PipesSubprocessClient()
        invocation = client.run(
            context=context.op_execution_context,
            command=[sys.executable, "-m", "distill_dagster.workers"],
            env={"CUDA_VISIBLE_DEVICES": ",".join(devices), "CUDA_DEVICE_ORDER": "PCI_BUS_ID"},
            extras={
                "worker": worker,
                "device": "cuda:0" if devices else "cpu",
                "request": request.model_dump(mode="json"),
            },
        )
        for message in invocation.get_custom_messages():
            if "produced" in message:
                return Produced(**message["produced"])
            if "error" in message:
                raise getattr(errors, message["error"], errors.UserError)(message["message"])
        raise errors.ComputeError(f"{worker} ended without a result; its log is above")
