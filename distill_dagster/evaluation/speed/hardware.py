"""The machine on which models are timed, without importing torch: an input of the stage `speed_benchmark`.

Only what stays the same from run to run counts, so that the figures are measured again on another machine and on no
other occasion. Threads, load and library versions are recorded beside the figures, and make nothing stale.

Of a cluster, only what the config asks of it counts: which node will run the stage is not known before. The worker
finds that node's hardware, and the figures name it.
"""

import contextlib
import os
import platform
import subprocess
from functools import cache
from pathlib import Path
from typing import Any

from distill_dagster.config import ComputeConfig
from distill_dagster.config.compute import CLUSTER_BACKENDS
from distill_dagster.evaluation.speed.specs import Machine


def machine_for(compute: ComputeConfig) -> Machine | None:
    """This machine; its GPUs count only if a benchmark may lease one. None: that node of a cluster which runs it."""
    if compute.backend in CLUSTER_BACKENDS:
        return None
    return this_machine(leases=compute.devices != [] and compute.benchmark.gpus > 0)


def this_machine(leases: bool) -> Machine:
    """The machine that runs this process, with its GPUs if one may be leased."""
    return Machine(processor=processor(), cores=os.cpu_count(), gpus=sorted(set(gpu_names())) if leases else [])


def hardware_of(compute: ComputeConfig) -> dict[str, Any]:
    """The hardware as an input of the stage."""
    machine, need = machine_for(compute), compute.benchmark
    if machine:
        return machine.model_dump()
    asked = {"cluster": compute.backend, "gpus": need.gpus, "memory_gb": need.memory_gb, "cpu": need.cpu}
    if compute.backend == "k8s":
        pod = compute.k8s.pod_for("benchmark")
        asked |= {"cpus": pod.cpus, "main_gb": pod.memory_gb, "node_selector": pod.node_selector}
    return asked


@cache
def processor() -> str:
    """The processor's name."""
    with contextlib.suppress(OSError):  # not Linux
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


@cache
def gpu_names() -> tuple[str, ...]:
    """The names of the GPUs that CUDA_VISIBLE_DEVICES leaves; () without a working driver, as `Compute` then says."""
    query = ["nvidia-smi", "--query-gpu=index,uuid,name", "--format=csv,noheader"]
    try:
        listing = subprocess.run(query, capture_output=True, text=True, check=True, timeout=30).stdout
    except (OSError, subprocess.SubprocessError):
        return ()
    listed = [[cell.strip() for cell in line.split(",", 2)] for line in listing.splitlines() if line.strip()]
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    kept = None if visible is None else {device.strip() for device in visible.split(",")}
    return tuple(name for index, uuid, name in listed if kept is None or kept & {index, uuid})
