"""A kept worker answers shard after shard in one process, and ends when idle; a worker that stalls is started again."""

import time

from distill_dagster.config.reading import load_config
from distill_dagster.lineage.project import Project
from distill_dagster.resources.compute.ray.cluster import NAMESPACE, Placement
from distill_dagster.resources.compute.ray.kept import hold
from testing.api_project import SHARD_ROWS, write_api_project
from testing.cluster_step import answer
from testing.ray_cluster import on_cluster, workers
from testing.waiting import wait_for

SHARDS = ("train-part-00", "train-part-01")


def test_a_kept_worker_answers_shards_in_one_process_and_ends_when_it_is_idle(cluster, ready, server):
    path, processes = ready(keep_workers_s=25), []
    for shard in SHARDS:
        assert answer(path, shard)
        processes.append(workers(cluster))
    assert len(processes[0]) == 1
    assert processes[0] == processes[1]
    wait_for(lambda: not workers(cluster), "the end of the kept worker")
    answers = [Project(load_config(path)).store.get("teacher_outputs", shard) for shard in SHARDS]
    assert [manifest.counts["ok"] for manifest in answers] == [SHARD_ROWS] * 2
    assert server.counts()["total"] == 2 * SHARD_ROWS


def test_a_worker_without_progress_is_started_again_on_another_node(cluster, ready, server):
    """The first answer never comes: a new process waits for it before it sends more requests."""
    path, began = ready(), time.monotonic()
    assert answer(path, SHARDS[0])
    start_s = time.monotonic() - began  # of a worker, on this machine at this load
    stalls = on_cluster(cluster, stalled_minutes=max(10, 2 * start_s) / 60)
    server.script(rules=[{"fault": "hang", "seconds": 600, "times": 1}])
    assert answer(write_api_project(path.parent, server, shards=2, compute=stalls), SHARDS[1])
    assert not workers(cluster)
    assert server.counts()["total"] == SHARD_ROWS + 1


def test_a_kept_worker_is_taken_for_a_need_that_its_node_can_run_and_for_no_other(cluster):
    nodes = tuple(node.id for node in cluster.workers)
    with hold("kept-anywhere", Placement(0, 1, nodes), 60):
        (first,) = wait_for(lambda: workers(cluster), "a worker")
    here = next(node.id for node in cluster.workers if first in {process.pid for process in node.processes()})
    elsewhere = tuple(node for node in nodes if node != here)
    with hold("kept-anywhere", Placement(0, 1, (here,), is_restricted=True), 60):
        assert workers(cluster) == [first]
    with hold("kept-anywhere", Placement(0, 1, elsewhere, is_restricted=True), 60):
        assert first in workers(cluster)
        wait_for(lambda: len(workers(cluster)) == 2, "a second worker")
    import ray

    for named in ray.util.list_named_actors(all_namespaces=True):
        ray.kill(ray.get_actor(named["name"], namespace=NAMESPACE))
