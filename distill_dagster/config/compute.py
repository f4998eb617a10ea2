"""`compute:` - where the work runs, and what each step needs."""

from typing import Literal

from pydantic import Field, field_validator, model_validator

from distill_dagster.config.k8s import K8sConfig
from distill_dagster.config.ray import RayConfig
from distill_dagster.config.section import Section

ComputeBackend = Literal["inline", "subprocess", "ray", "k8s"]
CLUSTER_BACKENDS: tuple[ComputeBackend, ...] = ("ray", "k8s")  # that run workers on other machines


class Need(Section):
    """What one step needs of the machine on which it runs."""

    gpus: int = Field(
        default=1,
        ge=0,
        le=64,
        description="GPUs that the step leases as a whole. Those of `train` and `fit` share the training, a process on "
        "each. A local model that answers or reads (`generate`, `benchmark`) and does not fit one GPU is spread over "
        "them, layer by layer.",
    )
    memory_gb: float = Field(default=0.0, ge=0, description="Least memory of each GPU in GB, as the card is sold.")
    cpu: bool = Field(default=True, description="Run on the CPU if the machine has no such GPU.")
    processes: int = Field(
        default=1,
        ge=1,
        le=64,
        description="Processes that share a training on the CPU (`train`, `fit`); on GPUs there is one for each.",
    )


class ComputeConfig(Section):
    """Where the work runs, and what each step needs."""

    backend: ComputeBackend = Field(
        default="inline",
        description="`inline` runs a step in the asset's process; `subprocess` starts a Dagster Pipes worker for it, "
        "which frees its memory at the end; `ray` starts it on a Ray cluster, and `k8s` in a pod of a Kubernetes "
        "cluster (the extras `ray` and `k8s`), see docs/clusters.md.",
    )
    ray: RayConfig = Field(
        default_factory=RayConfig,
        exclude_if=lambda ray: ray == RayConfig(),
        description="The cluster of `backend: ray`.",
    )
    k8s: K8sConfig = Field(
        default_factory=K8sConfig,
        exclude_if=lambda k8s: k8s == K8sConfig(),
        description="The cluster of `backend: k8s`.",
    )
    devices: Literal["auto"] | list[str] = Field(
        default="auto", description="Ids of the CUDA devices that may be leased. `auto` asks nvidia-smi."
    )
    fit: Need = Field(default_factory=Need, description="What fitting the teacher needs.")
    generate: Need = Field(default_factory=Need, description="What the teacher's answers and logits need.")
    train: Need = Field(default_factory=Need, description="What training the student needs.")
    benchmark: Need = Field(default_factory=Need, description="What measuring a model needs.")

    @property
    def needs(self) -> dict[str, Need]:
        """Kind of step -> what it needs."""
        return {"fit": self.fit, "generate": self.generate, "train": self.train, "benchmark": self.benchmark}

    @model_validator(mode="after")
    def _of_its_backend(self) -> "ComputeConfig":
        if self.backend in CLUSTER_BACKENDS and self.devices != "auto":
            raise ValueError(
                f"`devices: {self.devices}` names GPUs of this machine, and with `backend: {self.backend}` the cluster "
                "chooses among its own: remove `devices`"
            )
        for name, default in (("ray", RayConfig()), ("k8s", K8sConfig())):
            if self.backend != name and getattr(self, name) != default:
                raise ValueError(
                    f"`{name}` is set, and `backend` is {self.backend}: set it to `{name}`, or remove `{name}`"
                )
        if self.backend == "k8s" and not self.k8s.image:
            raise ValueError("`backend: k8s` needs `k8s.image`, the image that runs the workers: name it")
        return self

    @field_validator("generate", "benchmark")
    @classmethod
    def _one_process(cls, value: Need) -> Need:
        if value.processes > 1:
            raise ValueError(
                f"`processes: {value.processes}`, but only trainings are shared (`train`, `fit`): remove it"
            )
        return value
