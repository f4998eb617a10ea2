"""The pods of a made-up Kubernetes cluster: a scheduler over nodes, and a kubelet that runs each as a real process.

The process gets the pod's own environment and nothing of its server's, except for what an image would set. A pod's
`python` is this one. Volumes are not mounted: the paths of the pod must be those of this machine, as the backend
promises.
"""

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Coroutine
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from distill_dagster.process import end_with_parent
from testing.k8s_rules import amount, preferred_fields, required_terms

LOOK_S = 0.05
BACK_OFF_S = 0.3  # from the first failed pull to ImagePullBackOff
IN_IMAGE = ("PATH", "PYTHONPATH", "HOME", "LANG", "OMP_NUM_THREADS")
KILLED, TERMINATED = 137, 143


def now() -> str:
    """The time as Kubernetes writes it."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


@dataclass
class Node:
    """A machine of the cluster."""

    name: str
    cpus: float = 8
    memory_gb: float = 64
    gpus: int = 0
    labels: dict[str, str] = field(default_factory=dict)
    is_lost: bool = False

    @property
    def allocatable(self) -> dict[str, str]:
        """What pods can request there, and no GPUs where there are none."""
        found = {"cpu": f"{self.cpus:g}", "memory": f"{int(self.memory_gb * 2**20)}Ki"}
        return found | ({"nvidia.com/gpu": str(self.gpus)} if self.gpus else {})

    def document(self) -> dict[str, Any]:
        """The node as the API shows it."""
        labels = {"kubernetes.io/hostname": f"{self.name}.internal", **self.labels}  # as some clouds have it
        return {"metadata": {"name": self.name, "labels": labels}, "status": {"allocatable": self.allocatable}}

    def holds(self, term: dict[str, Any]) -> bool:
        """Whether a condition of node affinity holds."""
        metadata, values = self.document()["metadata"], term.get("values") or []
        value = metadata["name"] if term["key"] == "metadata.name" else metadata["labels"].get(term["key"])
        match term["operator"]:
            case "In":
                return value in values
            case "NotIn":
                return value not in values
            case "Gt":
                return value is not None and int(value) > int(values[0])
            case _:
                raise NotImplementedError(term)


@dataclass
class Line:
    """A line of a log, and when it was first seen."""

    text: bytes
    at: float

    @property
    def stamped(self) -> bytes:
        """The line behind its time, as a kubelet writes it."""
        when = datetime.fromtimestamp(self.at, UTC).strftime("%Y-%m-%dT%H:%M:%S")
        return f"{when}.{self.at % 1 * 1e9:09.0f}Z ".encode() + self.text


@dataclass
class Pod:
    """A pod, and the process that runs it."""

    document: dict[str, Any]
    log: Path
    seen: list[Line] = field(default_factory=list)
    process: subprocess.Popen | None = None
    fault: dict[str, Any] | None = None  # what the API says of its end in place of its exit status

    @property
    def name(self) -> str:
        return self.document["metadata"]["name"]

    @property
    def spec(self) -> dict[str, Any]:
        return self.document["spec"]

    @property
    def container(self) -> dict[str, Any]:
        return self.spec["containers"][0]

    @property
    def status(self) -> dict[str, Any]:
        return self.document["status"]

    @property
    def is_over(self) -> bool:
        return self.status["phase"] in ("Succeeded", "Failed")

    def requests(self, name: str) -> float:
        """How much of a resource it takes."""
        return amount((self.container["resources"].get("requests") or {}).get(name, 0))

    def lines(self) -> list[Line]:
        """The lines of its log so far, each with a time of its own; a last one without an end if the pod has ended."""
        ended = self.process is not None and self.process.poll() is not None
        found = self.log.read_bytes().splitlines(keepends=True)
        whole = [line for line in found if ended or line.endswith(b"\n")]
        for line in whole[len(self.seen) :]:
            after = self.seen[-1].at + 1e-6 if self.seen else 0.0
            self.seen.append(Line(line, max(time.time(), after)))
        return self.seen

    def wait_with(self, reason: str, message: str) -> None:
        """Show why its container does not start."""
        state = {"waiting": {"reason": reason, "message": message}}
        self.status["containerStatuses"] = [{"name": self.container["name"], "ready": False, "state": state}]

    def kill(self) -> None:
        """End all its processes, as a kernel that ends the container does."""
        if self.process and self.process.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)


class Kubelet:
    """All pods of the cluster, in one namespace."""

    def __init__(self, folder: Path, script: dict[str, Any]) -> None:
        self.folder, self.script = folder, script
        self.nodes = [Node(f"node-{n}") for n in range(3)]
        self.pods: dict[str, Pod] = {}
        self.made: list[dict[str, Any]] = []  # every document that was created
        self._tasks: set[asyncio.Task[None]] = set()  # the loop alone would let them be collected

    def create(self, document: dict[str, Any]) -> Pod:
        """Accept a pod, and begin to live with it."""
        own = {"uid": str(uuid.uuid4()), "creationTimestamp": now(), "namespace": "distill"}
        document = {**document, "metadata": {**document["metadata"], **own}, "status": {"phase": "Pending"}}
        pod = Pod(document, self.folder / f"{document['metadata']['name']}.log")
        pod.log.touch()
        self.pods[pod.name] = pod
        self.made.append(document)
        self._begin(self._live(pod))
        return pod

    async def delete(self, pod: Pod, grace_s: float) -> None:
        """End a pod as the API does: its object is gone when its process is, or at once without grace."""
        pod.document["metadata"] |= {"deletionTimestamp": now(), "deletionGracePeriodSeconds": grace_s}
        lost = next((node.is_lost for node in self.nodes if node.name == pod.spec.get("nodeName")), False)
        if grace_s and not lost and pod.process and pod.process.poll() is None:
            pod.process.send_signal(signal.SIGTERM)
            self._begin(self._end(pod, grace_s))
        elif not grace_s or not lost:
            pod.kill()
            self.pods.pop(pod.name, None)

    def _begin(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        task.result()

    async def _end(self, pod: Pod, grace_s: float) -> None:
        for _ in range(int(grace_s / LOOK_S)):
            if pod.process is None or pod.process.poll() is not None:
                break
            await asyncio.sleep(LOOK_S)
        pod.kill()
        while pod.process is not None and pod.process.poll() is None:
            await asyncio.sleep(LOOK_S)
        self.pods.pop(pod.name, None)

    async def _live(self, pod: Pod) -> None:
        while pod.name in self.pods and not self._schedule(pod):
            await asyncio.sleep(LOOK_S)
        while pod.name in self.pods and not await self._can_start(pod):
            await asyncio.sleep(LOOK_S)
        if pod.name not in self.pods:
            return
        self._start(pod)
        assert pod.process
        deadline = asyncio.get_running_loop().time() + pod.spec.get("activeDeadlineSeconds", float("inf"))
        while pod.process.poll() is None:
            await asyncio.sleep(LOOK_S)
            if asyncio.get_running_loop().time() > deadline:
                pod.fault = {"reason": "DeadlineExceeded", "message": "Pod was active on the node longer than allowed"}
                pod.kill()
        node = next(node for node in self.nodes if node.name == pod.spec["nodeName"])
        if not node.is_lost:
            self._finish(pod)

    def _schedule(self, pod: Pod) -> bool:
        """Bind the pod to a node that has what it requests; the preferred ones first."""
        terms, wishes = required_terms(pod.spec), preferred_fields(pod.spec)
        fit = [node for node in self.nodes if not node.is_lost and self._has_room(node, pod)]
        chosen = (pod.spec.get("nodeSelector") or {}).items()
        fit = [node for node in fit if all(node.labels.get(name) == value for name, value in chosen)]
        fit = [node for node in fit if all(map(node.holds, terms))]
        scheduled = {"type": "PodScheduled", "status": "True" if fit else "False"}
        if not fit:
            gpus = " Insufficient nvidia.com/gpu." if pod.requests("nvidia.com/gpu") else ""
            scheduled |= {
                "reason": "Unschedulable",
                "message": f"0/{len(self.nodes)} nodes are available:{gpus} preemption: 0/{len(self.nodes)}",
            }
        pod.status["conditions"] = [scheduled]
        if fit:
            pod.spec["nodeName"] = max(fit, key=lambda node: sum(map(node.holds, wishes))).name
        return bool(fit)

    def _has_room(self, node: Node, pod: Pod) -> bool:
        there = [other for other in self.pods.values() if other.spec.get("nodeName") == node.name and not other.is_over]
        names = pod.container["resources"].get("requests") or {}
        free = {name: amount(node.allocatable.get(name, 0)) - sum(o.requests(name) for o in there) for name in names}
        return all(pod.requests(name) <= free[name] for name in names)

    async def _can_start(self, pod: Pod) -> bool:
        """Whether the container can be made; its status says why not."""
        image = pod.container["image"]
        if image not in self.script["images"]:
            back_off = pod.status.get("containerStatuses") is not None
            failed = f'Failed to pull image "{image}": {image}: not found'
            pod.wait_with("ImagePullBackOff", f'Back-off pulling image "{image}"') if back_off else pod.wait_with(
                "ErrImagePull", failed
            )
            await asyncio.sleep(BACK_OFF_S)
            return False
        for variable in pod.container.get("env") or []:
            asked = (variable.get("valueFrom") or {}).get("secretKeyRef")
            if asked and asked["name"] not in self.script["secrets"]:
                pod.wait_with("CreateContainerConfigError", f'secret "{asked["name"]}" not found')
                return False
            if asked and asked["key"] not in self.script["secrets"][asked["name"]]:
                where = f"Secret distill/{asked['name']}"
                pod.wait_with("CreateContainerConfigError", f"couldn't find key {asked['key']} in {where}")
                return False
        return True

    def _environment(self, pod: Pod) -> dict[str, str]:
        found = {name: os.environ[name] for name in IN_IMAGE if name in os.environ}
        for variable in pod.container.get("env") or []:
            source = variable.get("valueFrom") or {}
            if secret := source.get("secretKeyRef"):
                found[variable["name"]] = self.script["secrets"][secret["name"]][secret["key"]]
            elif path := (source.get("fieldRef") or {}).get("fieldPath"):
                assert path == "spec.nodeName"
                found[variable["name"]] = pod.spec["nodeName"]
            else:
                found[variable["name"]] = variable.get("value") or ""
        return found

    def _start(self, pod: Pod) -> None:
        program, *arguments = pod.container["command"]
        command = [sys.executable if program == "python" else program, *arguments]
        with pod.log.open("wb") as log:
            pod.process = subprocess.Popen(
                command, env=self._environment(pod), stdout=log, stderr=log, stdin=subprocess.DEVNULL,
                cwd="/", start_new_session=True, preexec_fn=end_with_parent,
            )  # fmt: skip
        state = {"running": {"startedAt": now()}}
        pod.status["containerStatuses"] = [{"name": pod.container["name"], "ready": True, "state": state}]
        pod.status.update(phase="Running", startTime=now())

    def _finish(self, pod: Pod) -> None:
        assert pod.process
        code = pod.process.returncode
        pod.kill()  # what it has left
        told = {"exitCode": 128 - code if code < 0 else code, "reason": "Error" if code else "Completed"}
        fault = pod.fault or {}
        state = {"terminated": {**told, **fault.get("terminated", {})}}
        pod.status["containerStatuses"] = [{"name": pod.container["name"], "ready": False, "state": state}]
        own = {name: fault[name] for name in ("reason", "message") if name in fault}
        pod.status.update(phase="Failed" if code or fault else "Succeeded", **own)
        if condition := fault.get("condition"):
            pod.status["conditions"] = [*pod.status["conditions"], condition]

    def evict(self, pod: Pod) -> None:
        """As a kubelet whose node has no memory left."""
        condition = {"type": "DisruptionTarget", "status": "True", "reason": "TerminationByKubelet"}
        pod.fault = {"reason": "Evicted", "message": "The node was low on resource: memory.", "condition": condition}
        pod.kill()

    def out_of_memory(self, pod: Pod) -> None:
        """As a kernel that ends a container at its limit."""
        pod.fault = {"terminated": {"reason": "OOMKilled", "exitCode": KILLED}}
        pod.kill()

    def lose(self, name: str) -> None:
        """As a machine that loses its power: its pods stay, running as far as the API knows, and are then deleted."""
        node = next(node for node in self.nodes if node.name == name)
        node.is_lost = True
        for pod in self.pods.values():
            if pod.spec.get("nodeName") == name and not pod.is_over:
                pod.document["metadata"] |= {"deletionTimestamp": now(), "deletionGracePeriodSeconds": 1}
                pod.kill()

    def close(self) -> None:
        """End all processes."""
        for pod in self.pods.values():
            pod.kill()
