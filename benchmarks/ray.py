"""What a Ray cluster on loopback costs and gains: a shard in a kept worker against a child process, and two workers.

The teacher is a server of fixed latency, so that the cluster's two nodes of one core share no work worth speaking of.

    ray_vs_subprocess          time of a shard in a kept worker / in a child process here, medians of alternating rounds
    ray_two_workers_speedup    time of 8 shards on one kept worker / on two
"""

import os
import statistics
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import dagster as dg

from distill_dagster.config import Need, SmokeConfig
from distill_dagster.config.reading import load_config
from distill_dagster.generation.specs import GenerateSpec
from distill_dagster.lineage.project import Project
from distill_dagster.resources.compute import Compute
from distill_dagster.resources.compute.ray.cluster import disconnect
from distill_dagster.resources.gpu import GpuPool
from distill_dagster.store import files
from distill_dagster.teachers.faculty import read_faculty
from testing.api_project import write_api_project
from testing.fault_server import FaultServer
from testing.projects import run_project
from testing.ray_cluster import RayCluster

ROUNDS, SHARDS, WORKERS = 7, 8, 2
LATENCY_S = 1.0  # 12 rows, 4 at a time: 3 s a shard


def answer(compute: Compute, project: Project, shard: str) -> float:
    """Let the teacher answer one shard without stored replies; returns the seconds that it took."""
    folder = Path(project.config.store).parent / uuid.uuid4().hex
    (folder / "out").mkdir(parents=True)
    spec = GenerateSpec(
        faculty=read_faculty(project.store.get("teacher_model").folder),
        smoke=SmokeConfig(rows=0),
        generation=project.config.teacher.generation,
        responses=str(folder / "responses"),
        journal=shard,
        rows=str(project.store.get("raw_dataset", shard).file(files.RAW_FILE)),
        out=str(folder / "out"),
    )

    @dg.asset
    def answers(context: dg.AssetExecutionContext, compute: Compute) -> Iterator[dg.MaterializeResult]:
        compute.run(context, "generate_shard", spec)
        yield dg.MaterializeResult()

    started = time.perf_counter()
    dg.materialize([answers], resources={"compute": compute})
    return time.perf_counter() - started


def on_workers(count: int, compute: Compute, project: Project, shards: Sequence[str]) -> float:
    """Seconds for all shards, so many at a time."""
    started = time.perf_counter()
    with ThreadPoolExecutor(count) as threads:
        list(threads.map(lambda shard: answer(compute, project, shard), shards))
    return time.perf_counter() - started


def measure() -> dict[str, float]:
    """Both figures, over one cluster."""
    assert "ray" not in sys.modules, "Ray reads its settings when it is imported"
    with tempfile.TemporaryDirectory() as folder, FaultServer() as server:
        cluster = RayCluster(Path(folder))
        os.environ.update(cluster.environment)
        with cluster:
            cluster.add_workers(WORKERS)
            try:
                return _measure(Path(folder) / "project", cluster, server)
            finally:
                disconnect()


def _measure(folder: Path, cluster: RayCluster, server: FaultServer) -> dict[str, float]:
    path = write_api_project(folder, server, shards=SHARDS)
    with dg.DagsterInstance.ephemeral() as instance:
        run_project(load_config(path), instance, "teacher_model")
    project, shards = Project(load_config(path)), [f"train-part-{n:02}" for n in range(SHARDS)]
    settings: dict[str, Any] = {"address": cluster.address, "keep_workers_s": 600, "store": project.config.store}
    pool = GpuPool(devices=[])
    ours, child = Compute.of(Need(), pool, "ray", settings), Compute.of(Need(), pool, "subprocess")
    on_workers(WORKERS, ours, project, shards[:WORKERS])  # starts the workers
    answer(child, project, shards[0])
    pairs = [(answer(ours, project, shards[0]), answer(child, project, shards[0])) for _ in range(ROUNDS)]
    kept, forked = (statistics.median(column) for column in zip(*pairs, strict=True))
    server.script(latency=LATENCY_S)
    two, one = (on_workers(count, ours, project, shards) for count in (WORKERS, 1))
    return {
        "ray_kept_shard_s": kept,
        "subprocess_shard_s": forked,
        "ray_vs_subprocess": kept / forked,
        "ray_two_workers_speedup": one / two,
    }
