"""A node that dies or hangs, and a step that is ended: every shard is answered, and nothing runs on."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from distill_dagster.config.reading import load_config
from distill_dagster.lineage.project import Project
from distill_dagster.remote.attempt import JOBS, new_attempt, new_job
from distill_dagster.remote.order import WorkOrder
from distill_dagster.resources.compute.ray.cluster import Placement, nodes
from distill_dagster.resources.compute.ray.look import look_at_cluster
from distill_dagster.resources.compute.ray.tasks import run_task
from distill_dagster.resources.compute.sessions import Lost, ProgressWatch
from distill_dagster.store.result import Spec
from testing.api_project import CONCURRENCY, SHARD_ROWS, run_until_answers, write_api_project
from testing.ray_cluster import ROOT, on_cluster, workers
from testing.waiting import PATIENCE, wait_for

SHARDS = 8


def started(store: Path, attempt: int) -> list[str]:
    """The nodes that run an attempt of this number."""
    found = []
    for path in store.glob(f"{JOBS}/*/{attempt}/started-*.json"):
        with contextlib.suppress(FileNotFoundError):  # its job has just ended
            found.append(json.loads(path.read_text())["node"])
    return found


class Running:
    """The answers of a project, made in a thread of this process."""

    def __init__(self, path: Path, instance) -> None:
        self.store, self.outcome = Path(load_config(path).store), None
        self._thread = threading.Thread(target=self._run, args=(path, instance), daemon=True)
        self._thread.start()

    def _run(self, path: Path, instance) -> None:
        self.outcome = run_until_answers(path, instance)

    def end(self):
        self._thread.join(PATIENCE)
        return self.outcome


@pytest.mark.parametrize(
    ("shards", "number", "keep_workers_s"),
    [(SHARDS, signal.SIGKILL, 0), (2, signal.SIGSTOP, 5)],
    ids=["killed", "hung"],
)
def test_a_node_that_is_lost_costs_no_shard_and_few_calls(
    cluster, tmp_path, server, instance, record_property, shards, number, keep_workers_s
):
    path = write_api_project(tmp_path, server, shards, compute=on_cluster(cluster, keep_workers_s=keep_workers_s))
    server.script(latency=0.4)
    running = Running(path, instance)
    wait_for(lambda: server.counts()["total"] > SHARD_ROWS + CONCURRENCY, "requests of the second shard")
    (node,) = wait_for(lambda: started(running.store, 1), "the first attempt")
    began = time.monotonic()
    cluster.worker(node).signal(number)
    try:
        (other,) = wait_for(lambda: started(running.store, 2), "the second attempt")
        seconds = time.monotonic() - began
        outcome = running.end()
    finally:
        cluster.worker(node).kill()
    record_property("retried_s", seconds)  # 30 s at most after SIGKILL, 60 s after SIGSTOP, on an idle machine
    assert other != node
    assert outcome is not None
    assert not outcome.failed
    answers = [Project(load_config(path)).store.find("teacher_outputs", f"train-part-{n:02}") for n in range(shards)]
    assert all(answers)
    rows = shards * SHARD_ROWS + 4
    assert rows <= server.counts()["total"] <= rows + CONCURRENCY


@pytest.mark.parametrize("count", [1, 2])
def test_a_task_does_not_wait_for_nodes_that_are_gone(cluster, tmp_path, count):
    """Ray refuses it if there was one, and lets it wait for ever if there were two."""
    gone = cluster.workers[-count:]
    placement = Placement(gpus=0, cpus=1, nodes=tuple(node.id for node in gone), is_restricted=True)
    for node in gone:
        node.kill()
    wait_for(lambda: not {node.id for node in nodes()} & set(placement.nodes), "the nodes' end")
    with new_job(tmp_path) as job:
        attempt = new_attempt(job, 1)
        watch = ProgressWatch(attempt, Spec(), minutes=0)
        with pytest.raises(Lost, match=r"have left the cluster|not schedulable"):
            run_task(WorkOrder(attempt, 1, {}), placement, "fit_teacher", watch)


@pytest.mark.parametrize(
    ("number", "keep_workers_s"), [(signal.SIGTERM, 0), (signal.SIGKILL, 0), (signal.SIGKILL, 60)], ids=str
)
def test_the_work_ends_with_its_step(cluster, ready, server, number, keep_workers_s):
    path = ready(keep_workers_s=keep_workers_s)
    server.script(rules=[{"fault": "hang", "seconds": 600}])
    command = [sys.executable, "-m", "testing.cluster_step", str(path), "train-part-00"]
    step = subprocess.Popen(command, cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)})
    try:
        wait_for(lambda: server.counts()["total"], "the first request")
        assert workers(cluster)
        step.send_signal(number)
        wait_for(lambda: not workers(cluster), "the worker's end")
        assert step.wait(PATIENCE) in (1, -signal.SIGKILL)
    finally:
        step.kill()
        step.wait()


def test_each_node_says_what_it_sees(cluster, tmp_path):
    """As the preflight asks: in a process of its own, which reads the token from its environment."""
    seen = look_at_cluster(cluster.address, tmp_path, [str(tmp_path), str(tmp_path / "gone")], finds_cuda=False)
    assert {one.node.id for one in seen} > {node.id for node in cluster.workers}
    assert sorted(one.node.cpus for one in seen) == [0, 1, 1, 1]
    assert all(one.problem is None for one in seen)
    for one in seen:
        assert one.facts is not None
        assert one.facts.sees_store
        assert one.facts.unseen == [str(tmp_path / "gone")]
    assert not list((tmp_path / JOBS).iterdir())
