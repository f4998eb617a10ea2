"""A stand-in for the API server of a Kubernetes cluster of three nodes, whose pods are real processes.

    with K8sApi(folder) as cluster:            # a process of its own, on a free port of loopback
        cluster.kubeconfig                     # KUBECONFIG for a client, with a token
        cluster.script(images=["i:1"])         # see SCRIPT
        cluster.do("evict", name)              # also delete, oom, lose (a node), remove
        cluster.made()                         # every pod that was created, as the API got it

It validates pods as strictly as a real one (k8s_rules.py), schedules and runs them (k8s_pods.py), and refuses what its
script denies. It has what the backend uses: pods with create (dry runs too), get, list, delete and log, events, claims,
nodes, the version, and the review of one's own rights. It is no cluster: nothing is mounted, and images are names.
"""

import asyncio
import json
import math
import shutil
import tempfile
import time
import urllib.request
from pathlib import Path
from typing import Any

import yaml
from aiohttp import web

from testing.fault_server import FaultServer, main
from testing.k8s_pods import Kubelet, Node, Pod
from testing.k8s_rules import Invalid, require_valid_pod

NAMESPACE, IMAGE, TOKEN = "distill", "distill-dagster:test", "a-token-of-the-tests"
SCRIPT: dict[str, Any] = {
    "images": [IMAGE],
    "secrets": {},  # name -> key -> value
    "claims": {"store": ["ReadWriteMany"]},  # name -> access modes
    "denied": [],  # such as "create pods" or "list nodes"
    "quota": None,  # the message with which pods are refused
    "away": False,  # whether every request gets a 503
    "conflicts": 0,  # how many pods are refused because another request changed their quota
    "silence_s": None,  # after which a proxy closes the stream of a log
    "nodes": [{"name": f"node-{n}"} for n in range(3)],
}
LOOK_S = 0.05
PODS = f"/api/v1/namespaces/{NAMESPACE}/pods"


def failure(status: int, message: str, reason: str = "") -> web.Response:
    """A refusal as the API words it."""
    body = {"kind": "Status", "apiVersion": "v1", "status": "Failure", "message": message, "reason": reason}
    return web.json_response({**body, "code": status}, status=status)


def chosen(selector: str | None, labels: dict[str, str]) -> bool:
    """Whether labels match `a=b,c=d`."""
    wanted = [part.split("=", 1) for part in selector.split(",")] if selector else []
    return all(labels.get(name) == value for name, value in wanted)


class ApiHandlers:
    """The paths of the server, over one kubelet."""

    def __init__(self) -> None:
        self.kubelet = Kubelet(Path(tempfile.mkdtemp(prefix="pods-")), dict(SCRIPT))
        self.asked: list[str] = []

    def app(self) -> web.Application:
        """The aiohttp application."""
        app = web.Application(client_max_size=2**22, middlewares=[self.guarded])
        own = f"/api/v1/namespaces/{NAMESPACE}"
        app.router.add_get("/version/", self.version)
        app.router.add_post("/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", self.review)
        app.router.add_post(PODS, self.create)
        app.router.add_get(PODS, self.pods)
        app.router.add_get(f"{PODS}/{{name}}", self.get)
        app.router.add_delete(f"{PODS}/{{name}}", self.delete)
        app.router.add_get(f"{PODS}/{{name}}/log", self.log)
        app.router.add_get(f"{own}/events", self.events)
        app.router.add_get(f"{own}/persistentvolumeclaims/{{name}}", self.claim)
        app.router.add_get("/api/v1/nodes", self.nodes)
        app.router.add_post("/control/script", self.script)
        app.router.add_get("/control/made", self.made)
        app.router.add_get("/control/asked", self.requests)
        app.router.add_post("/control/{fault}/{name}", self.fault)
        return app

    @property
    def given(self) -> dict[str, Any]:
        return self.kubelet.script

    @web.middleware
    async def guarded(self, request: web.Request, handler: Any) -> web.StreamResponse:
        if request.path.startswith("/control"):
            return await handler(request)
        if request.headers.get("Authorization") != f"Bearer {TOKEN}":
            return failure(401, "Unauthorized", "Unauthorized")
        self.asked.append(f"{request.method} {request.path_qs}")
        if self.given["away"]:
            return failure(503, "the server is currently unable to handle the request", "ServiceUnavailable")
        asked = self.verb(request)
        if asked in self.given["denied"]:
            verb, what = asked.split()
            user = 'User "system:serviceaccount:distill:dagster"'
            message = f'{what} is forbidden: {user} cannot {verb} resource "{what}" in API group "" in the namespace'
            return failure(403, f'{message} "{NAMESPACE}"', "Forbidden")
        if "/namespaces/" in request.path and f"/namespaces/{NAMESPACE}/" not in f"{request.path}/":
            return failure(404, f'namespaces "{request.path.split("/")[4]}" not found', "NotFound")
        return await handler(request)

    def verb(self, request: web.Request) -> str:
        """What a request does, as a right."""
        parts = request.path.strip("/").split("/")
        what = parts[4:] if "namespaces" in parts else parts[2:]
        resource = f"{what[0]}/{what[2]}" if len(what) > 2 else what[0] if what else ""
        verbs = {"POST": "create", "DELETE": "delete"}
        return f"{verbs.get(request.method, 'get' if len(what) > 1 else 'list')} {resource}"

    async def version(self, request: web.Request) -> web.Response:
        return web.json_response({"major": "1", "minor": "37", "gitVersion": "v1.37.0"})

    async def review(self, request: web.Request) -> web.Response:
        asked = (await request.json())["spec"]["resourceAttributes"]
        what = "/".join(part for part in (asked["resource"], asked.get("subresource")) if part)
        return web.json_response(
            {"status": {"allowed": f"{asked['verb']} {what}" not in self.given["denied"]}}, status=201
        )

    async def create(self, request: web.Request) -> web.Response:
        assert request.query.get("fieldValidation") == "Strict"
        document = await request.json()
        try:
            require_valid_pod(document)
        except Invalid as e:
            return failure(e.status, str(e), "Invalid" if e.status == 422 else "BadRequest")
        name = document["metadata"]["name"]
        if self.given["quota"]:
            return failure(403, f'pods "{name}" is forbidden: {self.given["quota"]}', "Forbidden")
        if self.given["conflicts"]:
            self.given["conflicts"] -= 1
            changed = "the object has been modified; please apply your changes to the latest version and try again"
            return failure(409, f'Operation cannot be fulfilled on resourcequotas "gpus": {changed}', "Conflict")
        if name in self.kubelet.pods:
            return failure(409, f'pods "{name}" already exists', "AlreadyExists")
        if request.query.get("dryRun") != "All":
            document = self.kubelet.create(document).document
        return web.json_response(document, status=201)

    async def pods(self, request: web.Request) -> web.Response:
        selector = request.query.get("labelSelector")
        found = [pod.document for pod in self.kubelet.pods.values()]
        return web.json_response(
            {"items": [one for one in found if chosen(selector, one["metadata"].get("labels", {}))]}
        )

    async def get(self, request: web.Request) -> web.Response:
        pod = self.found(request)
        return web.json_response(pod.document) if pod else self.missing(request)

    async def delete(self, request: web.Request) -> web.Response:
        if not (pod := self.found(request)):
            return self.missing(request)
        given = request.query.get("gracePeriodSeconds") or (await request.json() if request.can_read_body else {}).get(
            "gracePeriodSeconds"
        )
        await self.kubelet.delete(
            pod, float(pod.spec.get("terminationGracePeriodSeconds", 30) if given is None else given)
        )
        return web.json_response(pod.document)

    async def log(self, request: web.Request) -> web.StreamResponse:
        if not (pod := self.found(request)):
            return self.missing(request)
        if pod.process is None:
            return failure(400, f'container "worker" in pod "{pod.name}" is waiting to start', "BadRequest")
        response = web.StreamResponse()
        await response.prepare(request)
        since = time.time() - float(request.query.get("sinceSeconds", "inf"))
        sent = sum(line.at < since for line in pod.lines())
        patience, spoke = self.given["silence_s"] or math.inf, time.monotonic()
        while True:
            ended, lines = pod.process.poll() is not None, pod.lines()
            for line in lines[sent:]:
                await response.write(line.stamped if "timestamps" in request.query else line.text)
                spoke = time.monotonic()
            sent = len(lines)
            if ended or time.monotonic() - spoke > patience:
                return response
            await asyncio.sleep(LOOK_S)

    async def events(self, request: web.Request) -> web.Response:
        name = request.query["fieldSelector"].partition("=")[2]
        said = [  # in the order of their names, as a server lists them
            {"reason": "FailedMount", "lastTimestamp": None, "eventTime": "2026-11-27T17:08:14.250000Z"},
            {"reason": "FailedScheduling", "lastTimestamp": "2026-11-27T17:08:13Z", "eventTime": None},
            {"reason": "Scheduled", "lastTimestamp": "2026-11-27T17:08:14Z", "eventTime": None},
        ]
        items = [{**one, "message": f"an event of {name}"} for one in said if name in self.kubelet.pods]
        return web.json_response({"items": items})

    async def claim(self, request: web.Request) -> web.Response:
        name = request.match_info["name"]
        if name not in self.given["claims"]:
            return failure(404, f'persistentvolumeclaims "{name}" not found', "NotFound")
        own = {"spec": {"accessModes": self.given["claims"][name]}, "status": {"phase": "Bound"}}
        return web.json_response({"metadata": {"name": name}, **own})

    async def nodes(self, request: web.Request) -> web.Response:
        return web.json_response({"items": [node.document() for node in self.kubelet.nodes]})

    def found(self, request: web.Request) -> Pod | None:
        return self.kubelet.pods.get(request.match_info["name"])

    def missing(self, request: web.Request) -> web.Response:
        return failure(404, f'pods "{request.match_info["name"]}" not found', "NotFound")

    async def script(self, request: web.Request) -> web.Response:
        given = await request.json()
        assert not set(given) - set(SCRIPT), given
        self.kubelet.script.update({**SCRIPT, **given})
        self.kubelet.nodes = [Node(**node) for node in self.given["nodes"]]
        self.kubelet.made.clear()
        self.asked.clear()
        return web.json_response({})

    async def made(self, request: web.Request) -> web.Response:
        folder = str(self.kubelet.folder)
        return web.json_response({"made": self.kubelet.made, "now": list(self.kubelet.pods), "folder": folder})

    async def requests(self, request: web.Request) -> web.Response:
        return web.json_response({"asked": self.asked})

    async def fault(self, request: web.Request) -> web.Response:
        name, pods = request.match_info["name"], self.kubelet.pods
        match request.match_info["fault"]:
            case "evict":
                self.kubelet.evict(pods[name])
            case "oom":
                self.kubelet.out_of_memory(pods[name])
            case "lose":
                self.kubelet.lose(name)
            case "delete":
                await self.kubelet.delete(pods[name], pods[name].spec["terminationGracePeriodSeconds"])
            case "remove":
                await self.kubelet.delete(pods[name], 0)
        return web.json_response({})


class K8sApi(FaultServer):
    """The server in its own process, which ends with the block; so do the processes of its pods."""

    module = "testing.k8s_api"

    def __init__(self, folder: Path) -> None:
        self.kubeconfig = folder / "kubeconfig"

    def __enter__(self) -> "K8sApi":
        super().__enter__()
        self.url = f"http://127.0.0.1:{self.port}"
        named = {"name": "made"}
        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "made",
            "clusters": [{**named, "cluster": {"server": self.url}}],
            "users": [{**named, "user": {"token": TOKEN}}],
            "contexts": [{**named, "context": {"cluster": "made", "user": "made", "namespace": NAMESPACE}}],
        }
        self.kubeconfig.write_text(yaml.safe_dump(config))
        self.script()
        return self

    def __exit__(self, *_: object) -> None:
        try:
            folder = self._control("made")["folder"]
        finally:
            super().__exit__()
        shutil.rmtree(folder, ignore_errors=True)

    def do(self, fault: str, name: str) -> None:
        """Let something happen to a pod, or to a node."""
        self._control(f"{fault}/{name}", b"")

    def made(self) -> list[dict[str, Any]]:
        """Every pod that was created since the last script."""
        return self._control("made")["made"]

    def alive(self) -> list[str]:
        """The pods that exist."""
        return self._control("made")["now"]

    def asked(self) -> list[str]:
        """The requests since the last script: method, path and query."""
        return self._control("asked")["asked"]

    def running(self) -> list[dict[str, Any]]:
        """The documents of the pods whose container runs."""
        return [pod for pod in self.pods() if pod["status"]["phase"] == "Running"]

    def pods(self) -> list[dict[str, Any]]:
        """The documents of the pods that exist."""
        request = urllib.request.Request(f"{self.url}{PODS}", headers={"Authorization": f"Bearer {TOKEN}"})
        with urllib.request.urlopen(request, timeout=30) as response:
            return json.load(response)["items"]


def on_k8s(store: Path, **k8s: Any) -> dict[str, Any]:
    """The section `compute` of a project whose workers run there, on the CPU: nothing has a GPU."""
    none = {"gpus": 0}
    own = {"image": IMAGE, "claims": {str(store): "store"}, **k8s}
    return {"backend": "k8s", "k8s": own, "fit": none, "generate": none, "train": none, "benchmark": none}


if __name__ == "__main__":
    main(ApiHandlers())
