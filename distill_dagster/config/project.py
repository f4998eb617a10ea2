"""The whole of `distill.yaml`, and its sections on student, evaluation, compute and alerts."""

import re
from datetime import date
from typing import Literal

from pydantic import Field, field_validator, model_validator

from distill_dagster.config.automation import AutomationConfig
from distill_dagster.config.data import DataConfig
from distill_dagster.config.logits import LogitsConfig
from distill_dagster.config.models import ModelConfig
from distill_dagster.config.quality import ChecksConfig, QualityConfig
from distill_dagster.config.section import Learn, Section, TaskName
from distill_dagster.config.signals import LogitsSignalConfig, StudentTrainingConfig
from distill_dagster.config.teacher import TeacherConfig
from distill_dagster.tasks.misfits import misfits

ComputeBackend = Literal["inline", "subprocess"]
OWNER = re.compile(r"team:\S.*|[A-Za-z0-9._%+-]+@[A-Za-z0-9.-]+\.[A-Za-z]{2,7}")  # what Dagster takes


class StudentConfig(Section):
    """The small model that goes to production, and how it is trained."""

    model: ModelConfig = Field(description="The student: an existing model or a new one.")
    learn: Learn = Field(
        default="answer",
        description="What the student learns to write: the teacher's `answer`, or `reasoning_and_answer`, which is the "
        "chain of thought followed by the answer.",
    )
    training: StudentTrainingConfig = Field(
        default_factory=StudentTrainingConfig, description="How the student is trained."
    )


class EvaluationConfig(Section):
    """How teacher, baseline and student are compared on the held-out rows."""

    max_new_tokens: int | None = Field(
        default=None, ge=1, description="Longest answer in tokens. If left out, as in `teacher.generation`."
    )
    batch_tokens: int = Field(
        default=16_384, ge=64, description="Tokens held at once, padded prompts and new tokens together."
    )
    latency_requests: int = Field(
        default=32, ge=2, le=10_000, description="Requests that are sent one after another to measure the latency."
    )
    resamples: int = Field(default=10_000, ge=100, le=1_000_000, description="Bootstrap resamples.")
    seed: int = Field(default=0, ge=0, description="Seed of the bootstrap and of the choice of timed requests.")
    retention_target: float = Field(
        default=0.92,
        gt=0,
        le=1.5,
        description="Least share of the teacher's score. PASS needs the student's whole 95 % interval above it.",
    )


class Need(Section):
    """What one step needs of the machine on which it runs."""

    gpus: int = Field(
        default=1, ge=0, le=64, description="GPUs that the step leases as a whole. So far a step uses at most one."
    )
    memory_gb: float = Field(default=0, ge=0, description="Least total memory of each GPU, in GB.")
    cpu: bool = Field(default=True, description="Run on the CPU if the machine has no such GPU.")


class ComputeConfig(Section):
    """Where the work runs, and what each step needs."""

    backend: ComputeBackend = Field(
        default="inline",
        description="`inline` runs a step in the asset's process; `subprocess` starts a Dagster Pipes worker for it, "
        "which frees its memory at the end.",
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

    @field_validator("fit", "generate", "train", "benchmark")
    @classmethod
    def _one_device(cls, value: Need) -> Need:
        if value.gpus > 1:
            raise ValueError(f"`gpus: {value.gpus}`, but a step uses at most one GPU so far: set `gpus: 1`")
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
        default="warn", description="Least severity that sends an alert. A failed run has severity `error`."
    )
    repeat_hours: float = Field(
        default=24,
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
    store: str = Field(default="store", description="Local folder in which every artefact is published.")
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
    compute: ComputeConfig = Field(default_factory=ComputeConfig, description="Where the work runs.")
    automation: AutomationConfig = Field(
        default_factory=AutomationConfig, description="What Dagster does without a request."
    )
    alerts: AlertsConfig = Field(default_factory=AlertsConfig, description="Who is alerted when a check or run fails.")

    @field_validator("owners")
    @classmethod
    def _known_to_dagster(cls, value: list[str]) -> list[str]:
        for owner in value:
            if not OWNER.fullmatch(owner):
                raise ValueError(f"{owner!r} is no owner: write `team:{owner or 'name'}`, or an e-mail address")
        return value

    @field_validator("store")
    @classmethod
    def _is_local(cls, value: str) -> str:
        if "://" in value:
            raise ValueError(f"{value} is a URL, and the store is a local folder: mount the bucket, or give a path")
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
    return problems + _signal_misfits(teacher, student)


def _signal_misfits(teacher: TeacherConfig, student: StudentConfig) -> list[str]:
    """What the student's signal needs and the config does not give."""
    training, logits, problems = student.training, teacher.logits, []
    signal = f"`student.training.signal: {training.signal}`"
    if training.signal == "text":
        return []
    if training.start.signal == "logits":
        problems += _objective_misfits(training.start.objective, logits, "student.training.logits")
    if training.signal == "on_policy":
        problems += _rollout_misfits(training, teacher)
    teachers = teacher.model
    if student.model.architecture and student.model.tokenizer != "teacher":
        problems.append(
            f"{signal} needs a student with the teacher's tokenizer, and `student.model.tokenizer` is "
            f"{student.model.tokenizer}: use `tokenizer: teacher`, or `signal: text`"
        )
    elif teachers and teachers.architecture and student.model.name:
        problems.append(
            f"{signal} needs a student with the teacher's tokenizer; that of a new teacher is trained on the rows, and "
            f"{student.model.name} has its own: name an existing teacher of its family, or use `signal: text`"
        )
    return problems


def _objective_misfits(objective: LogitsSignalConfig, logits: LogitsConfig | None, field: str) -> list[str]:
    """What an objective on stored distributions needs of their capture."""
    if logits is None:
        return [
            "a student that learns from `logits` needs the teacher's distributions, and `teacher.logits` is not given: "
            "add `teacher.logits: {}`, or learn from `text`"
        ]
    if logits.tail == "sampled" and (objective.temperature != 1 or objective.divergence != "forward_kl"):
        return [
            f"`teacher.logits.tail: sampled` serves the forward KL at temperature 1, and `{field}` "
            f"asks for {objective.divergence} at temperature {objective.temperature}: use `tail: bucket`"
        ]
    return []


def _rollout_misfits(training: StudentTrainingConfig, teacher: TeacherConfig) -> list[str]:
    """What rollouts need: one teacher with open weights that reads what the student reads."""
    problems = []
    if teacher.model is None:
        problems.append(
            "`student.training.signal: on_policy` needs a teacher that reads the student's samples here, and "
            "`teacher.model` is not given: name one with open weights, or use `signal: text`"
        )
    if teacher.prompting != "plain":
        problems.append(
            f"`student.training.signal: on_policy` shows the teacher the student's own prompt, and `teacher.prompting` "
            f"is {teacher.prompting}: use `prompting: plain`, or `signal: text`"
        )
    captured = teacher.logits or LogitsConfig()
    return problems + _objective_misfits(training.on_rollouts.objective, captured, "student.training.on_policy")
