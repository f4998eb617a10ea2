"""The resource that runs an asset's worker on the devices that its need declares. All work of assets goes through here.

An asset never loads a model. Dagster injects a `Compute` for its kind of work, with that kind's need of devices, and
the asset asks it to run a worker of `distill_dagster.workers`. The backend decides where that happens.
"""

import time
from collections.abc import Callable
from typing import Any

import dagster as dg

from distill_dagster.config import Need
from distill_dagster.config.compute import ComputeBackend
from distill_dagster.resources.compute.inline import Context, run_inline
from distill_dagster.resources.compute.k8s import run_in_pod
from distill_dagster.resources.compute.ray import run_on_ray
from distill_dagster.resources.compute.subprocess import run_subprocess
from distill_dagster.resources.gpu import GpuPool
from distill_dagster.store.result import Result, Spec
from distill_dagster.telemetry.instruments import add_wait

BACKENDS: dict[ComputeBackend, Callable[[Context, str, Spec, list[str], int], Result]] = {
    "inline": run_inline,
    "subprocess": run_subprocess,
}
CLUSTERS: dict[ComputeBackend, Callable[[Context, str, Spec, Need, dict[str, Any]], Result]] = {
    "ray": run_on_ray,
    "k8s": run_in_pod,
}
NO_DEVICE = Need(gpus=0, memory_gb=0, cpu=True)
OF_RANKS: ComputeBackend = "subprocess"


class Compute(dg.ConfigurableResource):
    """Runs workers for one kind of step.

    Example:
        >>> compute = Compute.of(Need(gpus=1, cpu=True), GpuPool(devices=[]), backend="inline")
        >>> compute.run(context, "generate_shard", spec).counts
        GenerateCounts(rows=250, ok=250, failed=0)
    """

    pool: GpuPool
    backend: ComputeBackend = "inline"
    gpus: int = 1  # the need, field by field: Dagster shows it beside the resource
    memory_gb: float = 0.0
    cpu: bool = True
    processes: int = 1
    settings: dict[str, Any] = {}  # of a cluster: its section of the config, the store, names of variables

    @classmethod
    def of(
        cls, need: Need, pool: GpuPool, backend: ComputeBackend, settings: dict[str, Any] | None = None
    ) -> "Compute":
        """The compute of one kind of step."""
        return cls(pool=pool, backend=backend, settings=settings or {}, **need.model_dump())

    @property
    def need(self) -> Need:
        """The devices and memory that are leased for each run of a worker."""
        return Need(gpus=self.gpus, memory_gb=self.memory_gb, cpu=self.cpu, processes=self.processes)

    def run(self, context: Context, worker: str, spec: Spec) -> Result:
        """Lease what the need declares, run the worker there, and return its result.

        Nothing is leased for a spec that needs no device. A training on several devices, or in several processes of the
        CPU, runs in a process for each, with the backend `inline` too. Any other work has all devices in one process.
        A cluster leases its own devices.

        Raises:
            UserError: the worker refused the spec.
            ComputeError: the machine, or the cluster, lacks what the need declares.
        """
        need = self.need if spec.needs_device else NO_DEVICE
        if run_there := CLUSTERS.get(self.backend):
            return run_there(context, worker, spec, need, self.settings)
        asked = time.monotonic()
        with self.pool.lease(need) as devices:
            add_wait("device", time.monotonic() - asked)
            ranks = (len(devices) or need.processes) if spec.uses_ranks else 1
            where = ", ".join(f"GPU {d}" for d in devices) or "the CPU"
            backend = self.backend if ranks == 1 else OF_RANKS
            context.log.info(f"{worker} runs {backend if ranks == 1 else f'in {ranks} processes'} on {where}")
            return BACKENDS[backend](context, worker, spec, devices, ranks).with_lease(devices)
