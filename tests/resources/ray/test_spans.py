"""The spans of a worker on a node join those of its step; a kept worker sends its own after each order."""

import os
import subprocess
import sys

from testing.otlp_collector import Collector
from testing.waiting import wait_for


def test_the_spans_of_a_node_join_those_of_the_step(cluster, ready):
    path = ready(keep_workers_s=25)
    with Collector() as collector:
        own = {**os.environ, **collector.environment}
        shards = ("train-part-00", "train-part-01")
        for shard in shards:
            command = [sys.executable, "-m", "testing.cluster_step", str(path), shard]
            done = subprocess.run(command, env=own, capture_output=True, text=True, timeout=1800)
            assert done.returncode == 0, done.stderr
        calls = wait_for(lambda: len(found := collector.named("chat made")) == 2 and found, "the spans of both orders")
        for shard, call in zip(shards, calls, strict=True):
            worker = collector.parent(call)
            step = collector.parent(worker)
            run = collector.parent(step)
            assert [span.name for span in (worker, step, run)] == ["generate_shard", "teacher_outputs", "run"]
            assert {span.attributes["distill.shard"] for span in (call, worker, step)} == {shard}
            assert run.trace_id == step.attributes["distill.run_id"].replace("-", "")
            assert call.process != step.process
        assert calls[0].trace_id != calls[1].trace_id
        assert any(key[0] == "distill.queue.duration" for key in collector.points)
