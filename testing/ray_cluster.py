"""A Ray cluster on loopback: a head without resources and workers of one core, each node a session of processes.

    with RayCluster(folder) as cluster:       # a head, with a token
        cluster.add_workers(3)                # one after another
        cluster.worker(node_id).kill()        # as a machine that loses power
        cluster.address                       # 127.0.0.1:40123

Every process that it started ends with the block, or with the process that started it: `python -m testing.ray_cluster`
reads the sessions of the nodes, and ends them when its standard input closes. The settings by which Ray notices a node
that hangs are those of examples/ray/.
"""

import contextlib
import os
import secrets
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

from distill_dagster.resources.compute.ray.cluster import connect
from testing.dev_server import free_port
from testing.waiting import wait_for

ROOT = Path(__file__).parents[1]
RAY = str(Path(sys.executable).with_name("ray"))
SETTINGS = ROOT / "examples/ray/settings.env"
STORE_BYTES = str(80 * 2**20)  # the least that Ray takes for its object store
LOOPBACK = "127.0.0.2"  # of 127.0.0.1, Ray would make the address by which other machines reach this one


def settings() -> dict[str, str]:
    """The variables of examples/ray/settings.env."""
    lines = shlex.split(SETTINGS.read_text(), comments=True)
    return dict(line.split("=", 1) for line in lines if line != "export")


def processes_of(session: int) -> list[psutil.Process]:
    """All processes of a session that are alive."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, ProcessLookupError):
            if os.getsid(process.pid) == session and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
    return found


def end_session(session: int) -> None:
    """Kill every process of a session, and those that they start meanwhile."""
    while processes := processes_of(session):
        for process in processes:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        time.sleep(0.05)


@dataclass(slots=True)
class RayNode:
    """A node: the session of its `ray start`."""

    process: subprocess.Popen[bytes]
    log: Path
    id: str = ""

    def processes(self) -> list[psutil.Process]:
        """All processes of the session that are alive."""
        return processes_of(self.process.pid)

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to all of them; `ray start` is first, as it would say why the others ended."""
        for process in sorted(self.processes(), key=lambda process: process.pid):
            with contextlib.suppress(psutil.NoSuchProcess):
                process.send_signal(number)

    def kill(self) -> None:
        """End the node, as a machine that loses power."""
        end_session(self.process.pid)
        self.process.wait()


@dataclass
class RayCluster:
    """The head and its workers; `token` is what they and their drivers authenticate with."""

    folder: Path
    token: str = field(default_factory=lambda: secrets.token_hex(32))
    workers: list[RayNode] = field(default_factory=list)

    def __enter__(self) -> "RayCluster":
        self.address = f"{LOOPBACK}:{free_port()}"
        self._temporary = tempfile.mkdtemp(prefix="ray-", dir="/tmp")  # the paths of Unix sockets are short
        end = [sys.executable, "-m", "testing.ray_cluster", self._temporary]
        self._end = subprocess.Popen(end, cwd=ROOT, stdin=subprocess.PIPE, text=True, start_new_session=True)
        own = ["--head", f"--port={self.address.rpartition(':')[2]}", "--include-dashboard=false", "--num-cpus=0"]
        self.head = self._start(
            "head", [*own, f"--temp-dir={self._temporary}", f"--ray-client-server-port={free_port()}"]
        )
        try:
            self._wait_for_head()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        for node in [*self.workers, self.head]:
            node.kill()
        self._end.communicate()

    @property
    def environment(self) -> dict[str, str]:
        """What a driver needs in its environment."""
        own = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": self.token, "RAY_USAGE_STATS_ENABLED": "0"}
        return {**settings(), **own, "RAY_worker_niceness": "0"}  # 15 is for nodes that nothing else uses

    def add_workers(self, count: int) -> None:
        """Start workers, one after another, until there are so many alive."""
        self.workers = [node for node in self.workers if node.process.poll() is None]
        while len(self.workers) < count:
            known = self._ids()
            node = self._start(f"worker-{time.monotonic_ns()}", [f"--address={self.address}", "--num-cpus=1"])
            self.workers.append(node)
            (node.id,) = self._wait_for_nodes(len(known) + 1) - known

    def worker(self, node: str) -> RayNode:
        """The worker with Ray's id of a node."""
        return next(worker for worker in self.workers if worker.id == node)

    def _start(self, name: str, options: list[str]) -> RayNode:
        log = self.folder / f"{name}.log"
        common = [f"--node-ip-address={LOOPBACK}", "--num-gpus=0", f"--object-store-memory={STORE_BYTES}", "--block"]
        environment = {**os.environ, **self.environment, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
        with log.open("wb") as file:
            process = subprocess.Popen(
                [RAY, "start", *options, *common, "--disable-usage-stats"],
                env=environment,
                stdout=file,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        assert self._end.stdin is not None
        print(process.pid, file=self._end.stdin, flush=True)
        return RayNode(process, log)

    def _wait_for_head(self) -> None:
        def is_up() -> bool:
            assert self.head.process.poll() is None, self.head.log.read_text()
            return "Ray runtime started" in self.head.log.read_text()

        wait_for(is_up, "the head's start")
        self._ids()

    def _wait_for_nodes(self, count: int) -> set[str]:
        def are_up() -> set[str] | None:
            for node in [self.head, *self.workers]:
                assert node.process.poll() is None, node.log.read_text()
            found = self._ids()
            return found if len(found) >= count else None

        return wait_for(are_up, f"the start of {count} nodes")

    def _ids(self) -> set[str]:
        """The ids of the nodes that are alive."""
        return {node["NodeID"] for node in self.nodes() if node["Alive"]}

    def nodes(self) -> list[dict[str, Any]]:
        """Ray's table of nodes. This process becomes a driver, at the head: no other node exists at its first call."""
        import ray

        connect(self.address)
        return ray.nodes()


def on_cluster(cluster: RayCluster, **ray: Any) -> dict[str, Any]:
    """The section `compute` of a project whose workers run there."""
    return {"backend": "ray", "ray": {"address": cluster.address, **ray}}


def workers(cluster: RayCluster) -> list[int]:
    """The processes of workers on all nodes."""
    found = []
    for node in cluster.workers:
        for process in node.processes():
            with contextlib.suppress(psutil.Error):
                if "distill_dagster.workers" in process.cmdline():
                    found.append(process.pid)
    return found


if __name__ == "__main__":
    for one in [int(line) for line in sys.stdin]:
        end_session(one)
    shutil.rmtree(sys.argv[1], ignore_errors=True)
