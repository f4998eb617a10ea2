"""What Dagster adds to the work: to each shard, by how it is run, and to a whole lineage.

    shard_overhead_inline_s     a shard of `distill-dagster run`, less the call of its worker; the mean of several
    shard_overhead_several_s      the same of a run over several shards (`automation.shards_per_run`)
    shard_overhead_…_cpu_s      both by CPU time, which a busy machine changes less
    shard_overhead_run_s        a shard as a run in a process of its own, less the worker and less importing torch
    graph_vs_script             `distill-dagster run` of the demo, over a script that calls the same workers in turn

The shards hold 12 rows, answered by a server on loopback at once. The two sides of a comparison alternate, each in a
process of its own; their medians are compared.
"""

import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import dagster as dg

from benchmarks.location import seconds_of
from distill_dagster.assets.naming import Names
from distill_dagster.config import DistillConfig
from distill_dagster.config.reading import load_config
from distill_dagster.definitions import build_lineage
from distill_dagster.demo.project import write_demo
from distill_dagster.lineage.project import Project
from distill_dagster.lineage.snapshot import Snapshot
from distill_dagster.operations.runner import QUIET, Runner
from distill_dagster.resources.compute import inline
from distill_dagster.workers import run_worker
from testing.api_project import write_api_project
from testing.dev_server import environment
from testing.fault_server import FaultServer
from testing.projects import own_instance

SHARDS, ALONE, ROUNDS = 12, 3, 3
RANGE = "dagster/asset_partition_range_start", "dagster/asset_partition_range_end"
ASSET = "teacher_outputs"


def measure() -> dict[str, float]:
    """Seconds a shard, and the ratio of the whole lineage."""
    with tempfile.TemporaryDirectory() as folder, FaultServer() as server:
        _in_this_process(Path(folder) / "first", server, in_one_run=False)  # imports, and compiles patterns
        shards = _in_this_process(Path(folder) / "inline", server, in_one_run=False)
        several = _in_this_process(Path(folder) / "several", server, in_one_run=True)
        alone = _in_processes(Path(folder) / "alone", server)
    with tempfile.TemporaryDirectory() as folder:
        ratio = _graph_vs_script(Path(folder))
    return {
        "shard_overhead_inline_s": shards[0],
        "shard_overhead_inline_cpu_s": shards[1],
        "shard_overhead_several_s": several[0],
        "shard_overhead_several_cpu_s": several[1],
        "shard_overhead_run_s": alone,
        "graph_vs_script": ratio,
    }


class _Calls:
    """Counts and times the calls of workers in this process."""

    def __init__(self) -> None:
        self.seconds = self.cpu_seconds = 0.0

    def __call__(self, *arguments: object) -> object:
        started, cpu = time.perf_counter(), time.process_time()
        try:
            return run_worker(*arguments)  # pyright: ignore[reportArgumentType]
        finally:
            self.seconds += time.perf_counter() - started
            self.cpu_seconds += time.process_time() - cpu


def _in_this_process(folder: Path, server: FaultServer, in_one_run: bool) -> tuple[float, float]:
    """Wall and CPU seconds a shard beside its worker, by the runner or by a run over all shards."""
    changes = {"automation.shards_per_run": SHARDS} if in_one_run else {}
    config = load_config(write_api_project(folder, server, shards=SHARDS, **changes))
    with own_instance(config) as instance:
        runner = Runner(Snapshot(Project(config)), build_lineage(config), instance, lambda title, state, why: None)
        assert not runner.run("teacher_model").failed
        calls, started, cpu = _Calls(), time.perf_counter(), time.process_time()
        inline.run_worker = calls  # pyright: ignore[reportAttributeAccessIssue]
        try:
            made = _make_in_one_run(config, instance) if in_one_run else _make_each(config, instance)
        finally:
            inline.run_worker = run_worker
        wall = time.perf_counter() - started - calls.seconds
        return wall / made, (time.process_time() - cpu - calls.cpu_seconds) / made


def _make_each(config: DistillConfig, instance: dg.DagsterInstance) -> int:
    runner = Runner(Snapshot(Project(config)), build_lineage(config), instance, lambda title, state, why: None)
    outcome = runner.run(ASSET)
    assert not outcome.failed
    made = len([title for title in outcome.materialized if title.startswith(ASSET)])
    assert made == SHARDS + 1, "the validation rows are a shard too"
    return made


def _make_in_one_run(config: DistillConfig, instance: dg.DagsterInstance) -> int:
    ends = dict(zip(RANGE, ("train-part-00", f"train-part-{SHARDS - 1:02}"), strict=True))
    job = build_lineage(config).resolve_implicit_global_asset_job_def()
    keys = [Names.of(config).key(ASSET)]
    assert job.execute_in_process(instance=instance, asset_selection=keys, run_config=QUIET, tags=ends).success
    return SHARDS


def _in_processes(folder: Path, server: FaultServer) -> float:
    """Seconds of a shard's run in a process of its own, less those of importing torch: the median of several."""
    path = write_api_project(folder, server, shards=ALONE)
    config = load_config(path)
    with own_instance(config) as instance:
        runner = Runner(Snapshot(Project(config)), build_lineage(config), instance, lambda title, state, why: None)
        assert not runner.run("teacher_model").failed
        own = environment() | {"DAGSTER_HOME": instance.root_directory, "DISTILL_CONFIG": str(path)}
    found = []
    for number in range(ALONE):
        command = [sys.executable, "-W", "ignore", "-m", "dagster", "asset", "materialize"]
        command += ["-m", "distill_dagster.definitions", "--select", ASSET, "--partition", f"train-part-{number:02}"]
        started = time.perf_counter()
        subprocess.run(command, env=own, check=True, capture_output=True)
        found.append(time.perf_counter() - started - seconds_of("import torch"))
    return statistics.median(found)


def _graph_vs_script(folder: Path) -> float:
    pairs = []
    for number in range(ROUNDS):
        place = folder / str(number)
        config, calls = write_demo(place / "demo"), place / "calls.jsonl"
        pairs.append((_side("graph", config, calls), _side("script", calls, place / "script")))
    in_graph, by_script = (statistics.median(column) for column in zip(*pairs, strict=True))
    return in_graph / by_script


def _side(side: str, *paths: Path) -> float:
    command = [sys.executable, "-W", "ignore", "-m", "benchmarks._graph_side", side, *map(str, paths)]
    started = time.perf_counter()
    subprocess.run(command, env={**environment(), "PYTHONPATH": os.getcwd()}, check=True, capture_output=True)
    return time.perf_counter() - started
