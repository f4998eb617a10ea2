"""The whole of `distill.yaml`, and its sections on evaluation, compute and alerts."""

import re
from datetime import date
from pathlib import Path
from typing import Literal

from pydantic import Field, PrivateAttr, field_validator, model_validator

from distill_dagster.config.automation import AutomationConfig
from distill_dagster.config.bucket import bucket_problem, folder_name, is_bucket
from distill_dagster.config.data import DataConfig
from distill_dagster.config.engine import engine_misfits
from distill_dagster.config.export import ExportConfig
from distill_dagster.config.judge import JudgeConfig
from distill_dagster.config.k8s import K8sConfig
from distill_dagster.config.option_misfits import option_misfits
from distill_dagster.config.quality import ChecksConfig, QualityConfig
from distill_dagster.config.ray import RayConfig
from distill_dagster.config.release import ReleaseConfig
from distill_dagster.config.section import Section, TaskName
from distill_dagster.config.speed import SpeedConfig
from distill_dagster.config.student import StudentConfig
from distill_dagster.config.teacher import TeacherConfig
from distill_dagster.config.tracking import TrackingConfig

ComputeBackend = Literal["inline", "subprocess", "ray", "k8s"]
CLUSTER_BACKENDS: tuple[ComputeBackend, ...] = ("ray", "k8s")  # that run workers on other machines
IMPORT_PATH = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*:[^\W\d]\w*")
LOCAL_FOLDER = ".distill"
OWNER = re.compile(r"team:\S.*|[A-Za-z0-9._%+-]+@[A-Za-z0-9.-]+\.[A-Za-z]{2,7}")  # what Dagster takes


class EvaluationConfig(Section):
    """How teacher, baseline and student are compared on the held-out rows."""

    max_new_tokens: int | None = Field(
        default=None, ge=1, description="Longest answer in tokens. If left out, as in `teacher.generation`."
    )
    batch_tokens: int = Field(
        default=16_384, ge=64, description="Tokens held at once, padded prompts and new tokens together."
    )
    latency_requests: int = Field(
        default=32, ge=2, le=10_000, description="Most prompts on which the models are timed in each round."
    )
    resamples: int = Field(default=10_000, ge=100, le=1_000_000, description="Bootstrap resamples.")
    seed: int = Field(default=0, ge=0, description="Seed of the bootstrap and of the choice of timed requests.")
    retention_target: float = Field(
        default=0.92,
        gt=0,
        le=1.5,
        description="Least share of the teacher's score. PASS needs the student's whole 95 % interval above it.",
    )
    metrics: list[str] = Field(
        default=[],
        description="Metrics of your own beside those of the task, each the `package.module:Name` of an "
        "`evaluate.Metric`, see docs/scores.md.",
    )

    gold_student: bool = Field(
        default=False,
        exclude_if=lambda wanted: not wanted,
        description="Also train the same student on the gold answers alone, and compare the two: did the teacher add "
        "anything? See docs/scores.md.",
    )
    judge: JudgeConfig | None = Field(
        default=None,
        exclude_if=lambda judge: judge is None,
        description="A model that compares the student's answers with the teacher's.",
    )

    @field_validator("metrics")
    @classmethod
    def _are_import_paths(cls, value: list[str]) -> list[str]:
        for name in value:
            if not IMPORT_PATH.fullmatch(name):
                raise ValueError(f"{name!r} is no import path: write `package.module:Name`")
        if twice := sorted({name for name in value if value.count(name) > 1}):
            raise ValueError(f"{twice[0]} is there {value.count(twice[0])} times: name it once")
        return value

    speed: SpeedConfig = Field(default_factory=SpeedConfig, description="How the models are timed against one another.")


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


class AlertsConfig(Section):
    """Who is alerted when a check or run fails, see docs/alerts.md.

    The file never holds an address: `urls_from` is the name of an environment variable that does.
    """

    enabled: bool = Field(default=True, description="Send alerts if the variable holds an address.")
    urls_from: str = Field(
        default="DISTILL_ALERT_URLS",
        pattern=r"^[A-Za-z_][A-Za-z0-9_]*$",
        description="Name of the environment variable with the Apprise URLs, separated by spaces, commas or line "
        "breaks.",
    )
    severity: Literal["warn", "error"] = Field(
        default="warn",
        description="Least severity that sends an alert. A failed run has severity `error`. A decision about a release "
        "is always sent.",
    )
    repeat_hours: float = Field(
        default=24.0,
        ge=0,
        le=8760,
        description="Hours after which the same failure of the same check and shard is sent again.",
    )
    ui_url: str = Field(
        default="http://127.0.0.1:3000",
        pattern=r"^https?://[^/@\s]+(/\S*)?$",
        description="URL at which people reach the Dagster UI, for links to runs.",
    )

    @field_validator("ui_url")
    @classmethod
    def _without_slash(cls, value: str) -> str:
        return value.rstrip("/")


class DistillConfig(Section):
    """One distillation project.

    Relative paths start from the folder of the file. `${NAME}` in any text is replaced by the environment variable of
    that name.
    """

    _folder: str | None = PrivateAttr(default=None)  # beside the fields, so that it shapes and fingerprints nothing

    name: str = Field(
        default="distillation",
        pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,60}$",
        description="The project's name in reports and alerts.",
    )
    key_prefix: str = Field(
        default="",
        pattern=r"^([A-Za-z_][A-Za-z0-9_]*)?$",
        description="Prefix of this project's asset keys, partition set, sensors, schedule, job and pools in Dagster, "
        "so that several projects can share one Dagster instance. Leave it empty for a single project.",
    )
    task: TaskName = Field(description="The task of every row that does not name its own.")
    owners: list[str] = Field(
        default=["team:distillation"], description="Owners of the assets in Dagster: `team:name` or an e-mail address."
    )
    store: str = Field(
        default="store",
        description="Local folder in which every artefact is published, or the URL of a folder in a bucket, such as "
        "s3://models/support, see docs/stores.md.",
    )
    local_folder: str = Field(
        default=LOCAL_FOLDER,
        exclude_if=lambda folder: folder == LOCAL_FOLDER,
        description="Local folder beside a store in a bucket. In it, a folder for each store has copies of what is "
        "read, and Dagster's home. Unused with a local store.",
    )
    prompt_date: date | None = Field(
        default=None,
        description="The date that chat templates write as today's, such as 2025-01-31, in all prompts and in the "
        "student's own template. If left out, it is 2024-07-26 where a template asks the clock. If the teacher's "
        "template writes a date, a change asks it again.",
    )
    data: DataConfig = Field(description="The source files and the format of their rows.")
    teacher: TeacherConfig = Field(description="The large model whose answers the student learns.")
    student: StudentConfig = Field(description="The small model that goes to production.")
    quality: QualityConfig = Field(
        default_factory=QualityConfig, description="Which of the teacher's answers the student learns."
    )
    checks: ChecksConfig = Field(default_factory=ChecksConfig, description="Limits and severities of the checks.")
    evaluation: EvaluationConfig = Field(
        default_factory=EvaluationConfig, description="How the three models are compared."
    )
    release: ReleaseConfig | None = Field(
        default=None,
        description="When a new student replaces the released one; `release: {}` takes the defaults. If left out, "
        "nothing is released.",
    )
    export: ExportConfig = Field(
        default_factory=ExportConfig, description="The formats in which the student is also published."
    )
    compute: ComputeConfig = Field(default_factory=ComputeConfig, description="Where the work runs.")
    automation: AutomationConfig = Field(
        default_factory=AutomationConfig, description="What Dagster does without a request."
    )
    alerts: AlertsConfig = Field(default_factory=AlertsConfig, description="Who is alerted when a check or run fails.")
    tracking: TrackingConfig | None = Field(
        default=None,
        exclude_if=lambda tracking: tracking is None,
        description="An experiment tracker that shows trainings and scores too. Turning it on or off makes nothing "
        "stale.",
    )

    @property
    def folder(self) -> str | None:
        """The folder of distill.yaml; None for a config that no file holds."""
        return self._folder

    def in_folder(self, folder: str | None) -> "DistillConfig":
        """The same config, of a distill.yaml in this folder."""
        config = self.model_copy()
        config._folder = folder
        return config

    @field_validator("owners")
    @classmethod
    def _known_to_dagster(cls, value: list[str]) -> list[str]:
        for owner in value:
            if not OWNER.fullmatch(owner):
                raise ValueError(f"{owner!r} is no owner: write `team:{owner or 'name'}`, or an e-mail address")
        return value

    @field_validator("store")
    @classmethod
    def _is_a_place(cls, value: str) -> str:
        if not is_bucket(value):
            return value
        if problem := bucket_problem(value):
            raise ValueError(problem)
        return value.rstrip("/")

    @field_validator("local_folder")
    @classmethod
    def _is_local(cls, value: str) -> str:
        if "://" in value:
            raise ValueError(f"{value} is a URL: give a local path")
        return value

    @property
    def local_root(self) -> Path:
        """The project's folder on this machine: the store, or one in `local_folder` beside a store in a bucket."""
        return Path(self.local_folder, folder_name(self.store)) if is_bucket(self.store) else Path(self.store)

    @model_validator(mode="after")
    def _task_and_options_fit(self) -> "DistillConfig":
        options = option_misfits(self.task, self.data, self.teacher, self.student)
        judge = self.evaluation.judge
        if judge and judge.endpoint.price is None and self.teacher.budget_usd is not None:
            options.append("`evaluation.judge.endpoint` has no price, and `teacher.budget_usd` counts it: give it one")
        if problems := options + engine_misfits(self.teacher, self.compute.backend):
            raise ValueError("E008: " + "; ".join(problems))
        return self
