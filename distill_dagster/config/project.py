"""The whole of `distill.yaml`, and its sections on student, evaluation, compute, automation and alerts."""

from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from distill_dagster.config.data import DataConfig
from distill_dagster.config.models import ModelConfig, TrainingConfig
from distill_dagster.config.quality import ChecksConfig, QualityConfig
from distill_dagster.config.section import Learn, Section, TaskName
from distill_dagster.config.teacher import TeacherConfig
from distill_dagster.tasks.misfits import misfits


class StudentConfig(Section):
    """The small model that goes to production."""

    model: ModelConfig
    learn: Learn = Field(
        "answer",
        description="answer: the teacher's answer alone; reasoning_and_answer: its chain of thought, then the answer",
    )
    training: TrainingConfig = TrainingConfig()  # pyright: ignore[reportCallIssue]


class EvaluationConfig(Section):
    """How the three models are compared."""

    max_new_tokens: int | None = Field(None, ge=1, description="left out: as the teacher generates")
    batch_tokens: int = Field(16_384, ge=64, description="as in the teacher's generation")
    latency_requests: int = Field(32, ge=2, le=10_000, description="single requests timed one after another")
    resamples: int = Field(10_000, ge=100, le=1_000_000, description="bootstrap resamples")
    seed: int = Field(0, ge=0, description="seed of the bootstrap and of the requests that are timed")
    retention_target: float = Field(0.92, gt=0, le=1.5, description="share of the teacher's score that PASS asks for")


class Need(Section):
    """What one step asks of the machine it runs on."""

    gpus: int = Field(1, ge=0, le=64, description="whole devices leased while the step runs")
    memory_gb: float = Field(0, ge=0, description="device memory that each of them must have in total")
    cpu: bool = Field(True, description="run on the CPU where the machine has no such device")


class ComputeConfig(Section):
    """Where work runs, and what each step needs."""

    backend: Literal["inline", "subprocess"] = Field(
        "inline", description="inline: in the asset's process; subprocess: a Dagster Pipes worker with its own device"
    )
    devices: Literal["auto"] | list[str] = Field(
        "auto", description="CUDA device ids that may be leased; auto asks nvidia-smi"
    )
    fit: Need = Need()  # pyright: ignore[reportCallIssue]
    generate: Need = Need()  # pyright: ignore[reportCallIssue]
    train: Need = Need()  # pyright: ignore[reportCallIssue]
    benchmark: Need = Need()  # pyright: ignore[reportCallIssue]

    @field_validator("fit", "generate", "train", "benchmark")
    @classmethod
    def _one_device(cls, value: Need) -> Need:
        if value.gpus > 1:
            raise ValueError(f"{value.gpus} GPUs are asked for, one step uses one so far: set `gpus: 1`")
        return value


class AutomationConfig(Section):
    """What Dagster does by itself."""

    observe_seconds: int = Field(30, ge=5, description="how often source files are looked at, and changes are acted on")
    enabled: bool = Field(False, description="re-make what a change made stale; off: only on request")
    cron: str | None = Field(
        None, description="when everything stale is made again, such as `0 3 * * *`; left out: never by the clock"
    )
    report_hours: float | None = Field(
        None, gt=0, description="age from which Dagster shows student and report as overdue; left out: never"
    )
    timezone: str = Field("UTC", description="of `cron`, such as Europe/Berlin")


class AlertsConfig(Section):
    """Whom a failed check or run is told to, see docs/alerts.md.

    The addresses never stand in the file: `urls_from` is the name of the environment variable that holds them.
    """

    enabled: bool = Field(True, description="tell, where the variable holds an address")
    urls_from: str = Field(
        "DISTILL_ALERT_URLS",
        pattern=r"^[A-Za-z_][A-Za-z0-9_]*$",
        description="environment variable with Apprise URLs, separated by spaces, commas or line breaks",
    )
    severity: Literal["warn", "error"] = Field("warn", description="least that is told; a failed run is an error")
    repeat_hours: float = Field(
        24, ge=0, le=8760, description="the same failure of the same check and shard is told again after so long"
    )
    ui_url: str = Field(
        "http://127.0.0.1:3000",
        pattern=r"^https?://[^/@\s]+(/\S*)?$",
        description="where people reach the Dagster UI, for the link to the run",
    )

    @field_validator("ui_url")
    @classmethod
    def _without_slash(cls, value: str) -> str:
        return value.rstrip("/")


class DistillConfig(Section):
    """One distillation project."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,60}$")] = Field(
        "distillation", description="shown in reports"
    )
    task: TaskName = Field(description="the task of every row that does not name its own")
    owners: list[str] = Field(
        ["team:distillation"], description="who is asked about the assets: team:name or an e-mail"
    )
    store: str = Field("store", description="folder in which every artefact is published")
    data: DataConfig
    teacher: TeacherConfig
    student: StudentConfig
    quality: QualityConfig = QualityConfig()  # pyright: ignore[reportCallIssue]
    checks: ChecksConfig = ChecksConfig()  # pyright: ignore[reportCallIssue]
    evaluation: EvaluationConfig = EvaluationConfig()  # pyright: ignore[reportCallIssue]
    compute: ComputeConfig = ComputeConfig()  # pyright: ignore[reportCallIssue]
    automation: AutomationConfig = AutomationConfig()  # pyright: ignore[reportCallIssue]
    alerts: AlertsConfig = AlertsConfig()  # pyright: ignore[reportCallIssue]

    @field_validator("store")
    @classmethod
    def _is_local(cls, value: str) -> str:
        if "://" in value:
            raise ValueError("the store is a local folder; mount the bucket, or give a path")
        return value

    @model_validator(mode="after")
    def _task_and_options_fit(self) -> "DistillConfig":
        if problems := _misfits(self.task, self.teacher, self.student):
            raise ValueError("E008: " + "; ".join(problems))
        return self


def _misfits(task: str, teacher: TeacherConfig, student: StudentConfig) -> list[str]:
    """The options that do not fit the task or each other, each with both values and the way out."""
    problems = misfits(task, teacher.prompting, teacher.summary_words)
    if student.model.tokenizer == "teacher" and teacher.model is None:
        problems.append(
            "`student.model.tokenizer: teacher` needs a teacher whose tokenizer is here, and `teacher.model` is not "
            "given: use `tokenizer: train`, or an existing student by `name`"
        )
    if student.learn == "reasoning_and_answer" and teacher.prompting != "chain_of_thought":
        problems.append(
            f"`student.learn: {student.learn}` needs a teacher that gives its reasoning, and `teacher.prompting` is "
            f"{teacher.prompting}: use `prompting: chain_of_thought`, or `learn: answer`"
        )
    return problems
