"""The API server of a Kubernetes cluster: what the backend asks of it, in one namespace, and what its errors mean.

Documents go and come as JSON, not as the client's models: these refuse values that a newer server may send.
"""

import contextlib
import json
import os
import time
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

from distill_dagster.errors import ComputeError

ANSWER_S = (5.0, 30.0)  # to a connection, to a request
PATIENCE_S = 60.0  # with a server that is away for a moment, when a pod is made
GONE_LOOK_S = 0.5
BUSY = 429
CONFLICT = "Conflict"  # another request changed the same object, such as a quota; status 409, as that of AlreadyExists
RIGHTS = "give its account the Role of deploy/k8s/rights.yaml"
OWN_NAMESPACE = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")
IN_CLUSTER = "KUBERNETES_SERVICE_HOST"  # every pod has it in its environment
T = TypeVar("T")
Document = dict[str, Any]


class Unanswered(Exception):
    """The API server cannot be reached, or cannot answer now."""


class ApiRefusal(ComputeError):
    """The API server refuses a request; the message is its own, and so is the reason, such as AlreadyExists."""

    def __init__(self, message: str, status: int, reason: str = "") -> None:
        super().__init__(message)
        self.status, self.reason = status, reason


class PodApi:
    """The pods of one namespace, and what else a preflight looks at."""

    def __init__(self, client: Any, namespace: str) -> None:
        from kubernetes import client as kubernetes

        self.client, self.namespace, self.host = client, namespace, client.configuration.host
        self._core = kubernetes.CoreV1Api(client)

    def create(self, pod: Mapping[str, Any], dry_run: bool = False) -> None:
        """Make a pod; a dry run only says whether it would be made.

        Raises:
            ApiRefusal: it is wrong, or not allowed.
        """
        options: dict[str, Any] = {"field_validation": "Strict"} | ({"dry_run": "All"} if dry_run else {})
        _ask(lambda: self._core.create_namespaced_pod(self.namespace, pod, **options, **_RAW))

    def get(self, name: str) -> Document | None:
        """A pod; None if it is gone."""
        return self._found(lambda: self._core.read_namespaced_pod(name, self.namespace, **_RAW))

    def pods(self, selector: str) -> list[Document]:
        """The pods with these labels."""
        listed = _ask(lambda: self._core.list_namespaced_pod(self.namespace, label_selector=selector, **_RAW))
        return listed["items"]

    def events(self, name: str) -> list[str]:
        """What the cluster said of a pod, the newest last; nothing if events may not be listed."""
        chosen = f"involvedObject.name={name}"
        with contextlib.suppress(ApiRefusal, Unanswered):
            listed = _ask(lambda: self._core.list_namespaced_event(self.namespace, field_selector=chosen, **_RAW))
            return [f"{event.get('reason')}: {event.get('message')}" for event in sorted(listed["items"], key=_said_at)]
        return []

    def delete(self, name: str, grace_s: int | None = None) -> None:
        """End a pod; nothing if it is gone. `grace_s` takes the place of its own grace."""
        grace = {} if grace_s is None else {"grace_period_seconds": grace_s}
        self._found(lambda: self._core.delete_namespaced_pod(name, self.namespace, **grace, **_RAW))

    def wait_until_gone(self, name: str, seconds: float) -> bool:
        """Whether a pod is gone, or has ended, within this time."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            with contextlib.suppress(Unanswered):
                pod = self.get(name)
                if pod is None or pod["status"].get("phase") in ("Succeeded", "Failed"):
                    return True
            time.sleep(GONE_LOOK_S)
        return False

    def log(self, name: str, since_s: int | None = None) -> Iterator[bytes]:
        """The pod's log as it grows, each line after its time, until the pod ends or the connection is closed."""
        since = {} if since_s is None else {"since_seconds": since_s}
        options: dict[str, Any] = {"follow": True, "timestamps": True, **since, **_STREAM}
        with _errors():
            yield from self._core.read_namespaced_pod_log(name, self.namespace, **options).stream()

    def version(self) -> str:
        """The server's version, such as v1.37.0."""
        from kubernetes import client as kubernetes

        return _ask(lambda: kubernetes.VersionApi(self.client).get_code(**_RAW))["gitVersion"]

    def may(self, verb: str, resource: str, subresource: str = "") -> bool:
        """Whether this process may do something in the namespace."""
        from kubernetes import client as kubernetes

        asked = {"namespace": self.namespace, "verb": verb, "resource": resource, "subresource": subresource}
        review = {"apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectAccessReview"}
        body = {**review, "spec": {"resourceAttributes": {name: value for name, value in asked.items() if value}}}
        access = kubernetes.AuthorizationV1Api(self.client)
        answer = _ask(lambda: access.create_self_subject_access_review(body, **_RAW))
        return bool(answer["status"].get("allowed"))

    def claim(self, name: str) -> Document | None:
        """A PersistentVolumeClaim; None if there is none."""
        return self._found(lambda: self._core.read_namespaced_persistent_volume_claim(name, self.namespace, **_RAW))

    def nodes(self) -> list[Document]:
        """All nodes of the cluster, which few may list."""
        return _ask(lambda: self._core.list_node(**_RAW))["items"]

    def _found(self, call: Callable[[], Any]) -> Document | None:
        try:
            return _ask(call)
        except ApiRefusal as e:
            if e.status == 404:
                return None
            raise


_RAW: dict[str, Any] = {"_preload_content": False, "_request_timeout": ANSWER_S}
_STREAM: dict[str, Any] = {"_preload_content": False, "_request_timeout": (ANSWER_S[0], None)}


def connect(context: str | None, namespace: str | None) -> PodApi:
    """The API of the cluster in which this process runs, or of the kubeconfig.

    Raises:
        ComputeError: the client is not installed, or nothing says where the API is.
    """
    try:
        from kubernetes import client, config
    except ImportError as e:
        raise ComputeError("`compute.backend: k8s` needs Kubernetes' client: install `distill-dagster[k8s]`") from e
    kubeconfig = os.environ.get("KUBECONFIG")
    try:
        if context is None and kubeconfig is None and IN_CLUSTER in os.environ:
            own = client.Configuration()
            config.load_incluster_config(client_configuration=own)
            return PodApi(client.ApiClient(own), namespace or OWN_NAMESPACE.read_text(encoding="utf-8").strip())
        made = config.new_client_from_config(config_file=kubeconfig, context=context, persist_config=False)
        contexts, active = config.list_kube_config_contexts(config_file=kubeconfig)
    except (config.ConfigException, OSError) as e:
        raise ComputeError(
            f"no Kubernetes cluster is configured ({e}): set KUBECONFIG, or run Dagster in the cluster"
        ) from e
    chosen = next((one for one in contexts if one["name"] == context), active)
    return PodApi(made, namespace or chosen["context"].get("namespace") or "default")


def patiently(call: Callable[[], T]) -> T:
    """What a call returns; a server that is away for a moment is asked again.

    Raises:
        ComputeError: it is away for longer.
    """
    until, pause = time.monotonic() + PATIENCE_S, 0.5
    while True:
        try:
            return call()
        except Unanswered as e:
            if time.monotonic() > until:
                raise ComputeError(f"{e}: start the cluster, correct KUBECONFIG, or try again later") from e
            time.sleep(pause)
            pause = min(2 * pause, 8.0)


def _ask(call: Callable[[], Any]) -> Document:
    """The document that a call of the client returns."""
    with _errors():
        return json.loads(call().data)


@contextlib.contextmanager
def _errors() -> Iterator[None]:
    """Tell what cannot be answered now from what is refused."""
    from kubernetes.client import ApiException
    from urllib3.exceptions import HTTPError

    try:
        yield
    except ApiException as e:
        words, reason = _words(e)
        if not e.status or e.status >= 500 or e.status == BUSY or reason == CONFLICT:
            raise Unanswered(f"the Kubernetes API cannot answer: {words}") from e
        way_out = f": {RIGHTS}" if "forbidden: User" in words else ""
        raise ApiRefusal(f"{words}{way_out}", int(e.status), reason) from e
    except HTTPError as e:
        raise Unanswered(f"the Kubernetes API does not answer ({e})") from e


def _words(error: Any) -> tuple[str, str]:
    """The API's own words, and its reason; a proxy before it gives none."""
    body = error.body.decode(errors="replace") if isinstance(error.body, bytes) else error.body or ""
    with contextlib.suppress(ValueError, TypeError, KeyError):
        said = json.loads(body)
        return f"{said['message']} ({error.status})", said.get("reason") or ""
    return f"{body.strip()[:500] or error.reason} ({error.status})", ""


def _said_at(event: Document) -> datetime:
    """When an event was last said; which field has the time depends on who said it."""
    series = event.get("series") or {}
    times = (series.get("lastObservedTime"), event.get("lastTimestamp"), event.get("eventTime"))
    said = next(filter(None, (*times, event.get("metadata", {}).get("creationTimestamp"))), None)
    return datetime.fromisoformat(said) if said else datetime.min.replace(tzinfo=UTC)
