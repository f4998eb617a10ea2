"""`compute.k8s:` - the Kubernetes cluster on which the backend `k8s` runs workers as pods."""

import re
from pathlib import PurePosixPath
from typing import Any, Literal, Self

from pydantic import Field, field_validator, model_validator

from distill_dagster.config.cluster import retries_field, stalled_field
from distill_dagster.config.section import Section

NAME = r"^[a-z0-9][a-z0-9.-]{0,252}$"  # of a Kubernetes object: a DNS subdomain, RFC 1123
LABEL = r"^[A-Za-z0-9][A-Za-z0-9._/-]{0,316}$"  # the key of a label, taint or resource, with its prefix
NO_LABEL = r"^[A-Za-z0-9._/-]{0,317}$"  # such a key, or nothing
VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
SECRETIVE = re.compile(  # in the name of a variable with a secret, such as OTEL_EXPORTER_OTLP_HEADERS
    r"KEY|TOKEN|SECRET|PASSW|CREDENTIAL|HEADERS|AUTH|DSN", re.IGNORECASE
)
OWN_FIELDS = (  # of a pod's spec: the backend writes them, from the other settings
    *("containers", "initContainers", "ephemeralContainers", "restartPolicy", "activeDeadlineSeconds"),
    *("terminationGracePeriodSeconds", "nodeSelector", "tolerations", "affinity", "volumes", "serviceAccountName"),
    *("imagePullSecrets", "automountServiceAccountToken", "enableServiceLinks"),
)


class Toleration(Section):
    """A taint of nodes on which a pod may run all the same, in Kubernetes' words."""

    key: str | None = Field(default=None, pattern=LABEL, description="The taint's key. If left out, every taint.")
    operator: Literal["Exists", "Equal"] = Field(default="Exists", description="How `key` and `value` are compared.")
    value: str | None = Field(default=None, description="The taint's value, with `Equal`.")
    effect: Literal["NoSchedule", "PreferNoSchedule", "NoExecute"] | None = Field(
        default=None, description="The taint's effect. If left out, all effects."
    )
    seconds: int | None = Field(
        default=None, ge=0, description="How long a pod stays on a node that gets the taint, with `NoExecute`."
    )

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if (self.operator == "Equal") != (self.value is not None):
            raise ValueError(f"`operator: {self.operator}` with `value: {self.value}`: only `Equal` has a value")
        if self.key is None and self.operator == "Equal":
            raise ValueError("`operator: Equal` needs a `key`: name it, or use `Exists`")
        return self


class K8sPod(Section):
    """What a pod requests beside the GPUs of its need, and the nodes that it may run on."""

    cpus: float = Field(
        default=1.0,
        gt=0,
        le=1024,
        description="Cores of a pod, requested and as its limit. A training in `processes` gets one for each at least.",
    )
    memory_gb: float = Field(
        default=8.0, gt=0, le=65_536, description="Main memory of a pod in GiB, requested and as its limit."
    )
    node_selector: dict[str, str] = Field(
        default={}, description="Labels that a node must have, such as `nvidia.com/gpu.product: NVIDIA-L4`."
    )
    tolerations: list[Toleration] = Field(default=[], description="Taints of nodes on which a pod may run.")


class K8sConfig(Section):
    """The Kubernetes cluster of `compute.backend: k8s`, see docs/clusters.md.

    Dagster's process talks to its API: inside a pod as that pod's service account, elsewhere by `KUBECONFIG`.
    """

    image: str | None = Field(
        default=None,
        min_length=1,
        max_length=512,
        pattern=r"^\S+$",
        description="The image of the workers, with this version of distill-dagster. The backend needs it.",
    )
    pull_policy: Literal["Always", "IfNotPresent", "Never"] | None = Field(
        default=None, description="When a node pulls the image. If left out, as Kubernetes decides."
    )
    pull_secrets: list[str] = Field(default=[], description="Names of Secrets with which the image is pulled.")
    context: str | None = Field(
        default=None, min_length=1, description="The context of the kubeconfig. If left out, its current one."
    )
    namespace: str | None = Field(
        default=None,
        pattern=NAME,
        description="The namespace of the pods. If left out, that of Dagster's pod or of the kubeconfig's context.",
    )
    service_account: str | None = Field(
        default=None, pattern=NAME, description="The service account of the pods. They get no token of it."
    )
    claims: dict[str, str] = Field(
        default={},
        description="Path -> name of the PersistentVolumeClaim that pods mount there. Dagster's process mounts the "
        "same volumes at the same paths, and the store lies in one of them.",
    )
    keys_from: str | None = Field(
        default=None,
        pattern=NAME,
        description="Name of a Secret in the namespace. The keys and headers of endpoints come from its entry of "
        "the variable's name, so that no pod's spec holds them.",
    )
    keys: list[str] = Field(
        default=[], description="Names of more environment variables that workers get from the Secret `keys_from`."
    )
    env: list[str] = Field(
        default=[],
        description="Names of environment variables whose values are copied from the step into the pod's spec, where "
        "everybody can read them who may read pods.",
    )
    labels: dict[str, str] = Field(default={}, description="More labels of the pods, such as that of a queue.")
    spec: dict[str, Any] = Field(
        default={},
        description="More fields of the pod's spec, in Kubernetes' words, such as `priorityClassName` and "
        "`securityContext`.",
    )
    gpu_resource: str = Field(
        default="nvidia.com/gpu", pattern=LABEL, description="The resource that counts the GPUs of a node."
    )
    gpu_memory_label: str = Field(
        default="nvidia.com/gpu.memory",
        pattern=NO_LABEL,
        description="The label with the memory of a node's GPUs in MiB, which a need with `memory_gb` compares. "
        "Empty: nodes have none, and `node_selector` names the GPUs.",
    )
    pod: K8sPod = Field(default_factory=K8sPod, description="What a pod requests, and where it may run.")
    fit: K8sPod | None = Field(default=None, description="In place of `pod`, for fitting the teacher.")
    generate: K8sPod | None = Field(default=None, description="In place of `pod`, for a local teacher's answers.")
    train: K8sPod | None = Field(default=None, description="In place of `pod`, for trainings.")
    benchmark: K8sPod | None = Field(default=None, description="In place of `pod`, for measuring models.")
    retries: int = retries_field(after="its pod was evicted, deleted or lost with its node")
    stalled_minutes: float = stalled_field()
    pending_minutes: float = Field(
        default=60.0,
        ge=0,
        le=10_080,
        description="Minutes after which a pod that has not started fails the step, as where no node has the GPUs. "
        "0: never.",
    )
    deadline_hours: float = Field(
        default=168.0,
        gt=0,
        le=8_760,
        description="Hours after which Kubernetes ends a pod, even if Dagster is gone.",
    )
    grace_s: int = Field(
        default=60,
        ge=1,
        le=3_600,
        description="Seconds from the end of a step to that of its worker, in which a training writes a checkpoint.",
    )
    orphan_s: float = Field(
        default=60.0,
        ge=5,
        le=3_600,
        description="Seconds after which a worker ends itself because its step shows no sign of life.",
    )

    @field_validator("claims")
    @classmethod
    def _absolute(cls, value: dict[str, str]) -> dict[str, str]:
        for path, claim in value.items():
            if not path.startswith("/") or path == "/" or ".." in PurePosixPath(path).parts or ":" in path:
                raise ValueError(f"{path!r} is no place for a volume: give an absolute path such as /project")
            if not re.fullmatch(NAME, claim):
                raise ValueError(f"{claim!r} is no name of a PersistentVolumeClaim: use lower case, digits, - and .")
        return value

    @field_validator("env", "keys")
    @classmethod
    def _variables(cls, value: list[str]) -> list[str]:
        if not all(VARIABLE.fullmatch(name) for name in value):
            raise ValueError("put the NAMES of variables here, not their values: letters, digits and _")
        return value

    @field_validator("spec")
    @classmethod
    def _not_its_own(cls, value: dict[str, Any]) -> dict[str, Any]:
        if wrong := [name for name in value if name in OWN_FIELDS]:
            raise ValueError(f"`{wrong[0]}` is written by the backend: remove it here, and use the setting for it")
        if _holds_null(value):
            raise ValueError("a field without a value (`null`): remove it")
        return value

    @model_validator(mode="after")
    def _keeps_secrets(self) -> Self:
        if shown := [name for name in self.env if SECRETIVE.search(name)]:
            raise ValueError(
                f"`env` would put {shown[0]} into the pod's spec in plain text: name it in `keys`, and a Secret "
                "that holds it in `keys_from`"
            )
        if self.keys and not self.keys_from:
            raise ValueError(f"`keys` names {self.keys[0]}, and no `keys_from` is given: name the Secret")
        return self

    def pod_for(self, kind: str) -> K8sPod:
        """What a pod of this kind of work requests."""
        return getattr(self, kind) or self.pod


def _holds_null(value: Any) -> bool:
    """Whether there is a null anywhere: Dagster keeps none in the settings of a resource."""
    if isinstance(value, dict | list):
        return any(map(_holds_null, value.values() if isinstance(value, dict) else value))
    return value is None
