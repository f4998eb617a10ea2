"""The whole of `distill.yaml`, and its sections on student, evaluation, compute and alerts."""

import re
from datetime import date
from typing import Literal

from pydantic import Field, field_validator, model_validator

from distill_dagster.config.automation import AutomationConfig
from distill_dagster.config.data import DataConfig
from distill_dagster.config.engine import engine_misfits
from distill_dagster.config.logits import LogitsConfig
from distill_dagster.config.models import ModelConfig
from distill_dagster.config.quality import ChecksConfig, QualityConfig
from distill_dagster.config.section import Learn, Section, TaskName
from distill_dagster.config.signals import OTHER_SIGNALS, LogitsSignalConfig, StudentTrainingConfig
from distill_dagster.config.student_init import StudentInitConfig
from distill_dagster.config.sweep import SweepConfig
from distill_dagster.config.teacher import TeacherConfig
from distill_dagster.tasks.misfits import misfits

ComputeBackend = Literal["inline", "subprocess"]
OWNER = re.compile(r"team:\S.*|[A-Za-z0-9._%+-]+@[A-Za-z0-9.-]+\.[A-Za-z]{2,7}")  # what Dagster takes


class StudentConfig(Section):
    """The small model that goes to production, and how it is trained."""

    model: ModelConfig | None = Field(
        default=None, description="The student: an existing model or a new one. Give this or `init`."
    )
    init: StudentInitConfig | None = Field(
        default=None, description="A student that is cut out of the teacher, in place of `model`."
    )
    learn: Learn = Field(
        default="answer",
        description="What the student learns to write: the teacher's `answer`, or `reasoning_and_answer`, which is the "
        "chain of thought followed by the answer.",
    )
    training: StudentTrainingConfig = Field(
        default_factory=StudentTrainingConfig, description="How the student is trained."
    )
    sweep: SweepConfig | None = Field(
        default=None,
        description="A search for the best settings of `training`, by validation loss. If left out, there is none.",
    )

    @property
    def trainings(self) -> list[StudentTrainingConfig]:
        """The training, or with `sweep` those at the corners of its space."""
        return self.sweep.corners(self.training) if self.sweep else [self.training]

    @model_validator(mode="after")
    def _space_fits(self) -> "StudentConfig":
        _ = self.trainings
        return self

    @model_validator(mode="after")
    def _model_or_init(self) -> "StudentConfig":
        if (self.model is None) == (self.init is None):
            raise ValueError(
                "give exactly one of `model` (an existing or a new one) and `init` (cut out of the teacher)"
            )
        return self


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
    memory_gb: float = Field(default=0, ge=0, description="Least memory of each GPU in GB, as the card is sold.")
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
        problems = _misfits(self.task, self.teacher, self.student) + _unmeasured(self.data, self.student)
        if problems := problems + engine_misfits(self.teacher, self.compute.backend):
            raise ValueError("E008: " + "; ".join(problems))
        return self


def _misfits(task: str, teacher: TeacherConfig, student: StudentConfig) -> list[str]:
    """The options that do not fit the task or each other, each with both values and the way out."""
    problems = misfits(task, teacher.prompting, teacher.summary_words)
    if student.init and teacher.model is None:
        problems.append(
            "`student.init` cuts the student out of the teacher's weights, and `teacher.model` is not given: name a "
            "teacher with open weights, or give `student.model`"
        )
    if student.model and student.model.tokenizer == "teacher" and teacher.model is None:
        problems.append(
            "`student.model.tokenizer: teacher` needs a teacher whose tokenizer is here, and `teacher.model` is not "
            "given: use `tokenizer: train`, or an existing student by `name`"
        )
    if student.learn == "reasoning_and_answer" and teacher.prompting != "chain_of_thought":
        problems.append(
            f"`student.learn: {student.learn}` needs a teacher that gives its reasoning, and `teacher.prompting` is "
            f"{teacher.prompting}: use `prompting: chain_of_thought`, or `learn: answer`"
        )
    found = [_signal_misfits(teacher, student, training) for training in student.trainings]
    return [*problems, *dict.fromkeys(problem for one in found for problem in one)]


def _unmeasured(data: DataConfig, student: StudentConfig) -> list[str]:
    """A sweep without a validation loss."""
    if student.sweep is None or data.validation or data.validation_share:
        return []
    return [
        "`student.sweep` compares validation losses, and there are no validation rows: name files in "
        "`data.validation`, or raise `data.validation_share` above 0"
    ]


def _signal_misfits(teacher: TeacherConfig, student: StudentConfig, training: StudentTrainingConfig) -> list[str]:
    """What the student's signal needs and the config does not give."""
    if training.signal == "text":
        return []
    problems = _stored_misfits(training, teacher.logits) if training.reads_logits else []
    if training.signal == "on_policy":
        problems += _rollout_misfits(training, teacher)
    if training.reads_teacher and teacher.model is None:
        given = "an endpoint" if teacher.endpoint else "several models (`mix`)"
        problems.append(
            "`student.training.signal: hidden` runs the teacher beside the student, which needs its weights, and the "
            f"teacher is {given}: give `teacher.model`, or use `signal: text`"
        )
    return problems + (_tokenizer_misfits(teacher, student) if training.compares_tokens else [])


def _tokenizer_misfits(teacher: TeacherConfig, student: StudentConfig) -> list[str]:
    """Tokenizers that cannot be the same, because one of them is trained on the rows."""
    needs = f"`student.training.signal: {student.training.signal}` needs a student with the teacher's tokenizer, and"
    if student.model and student.model.architecture and student.model.tokenizer != "teacher":
        given = student.model.tokenizer
        return [f"{needs} `student.model.tokenizer` is {given}: use `tokenizer: teacher`, {OTHER_SIGNALS}"]
    if student.model and student.model.name and teacher.model and teacher.model.architecture:
        own = f"the teacher's is trained on the rows, while {student.model.name} has its own"
        return [f"{needs} {own}: use {OTHER_SIGNALS}"]
    return []


def _stored_misfits(training: StudentTrainingConfig, logits: LogitsConfig | None) -> list[str]:
    """What a student needs that learns from the distributions over the teacher's own text."""
    if logits is None:
        asked = {"logits": "signal: logits", "on_policy": "on_policy.start: logits"}.get(training.signal, "logits")
        return [
            f"`student.training.{asked}` needs the teacher's distributions, and `teacher.logits` is not given: "
            "add `teacher.logits: {}`, or use `signal: text`"
        ]
    return _tail_misfits(training.objective, logits, "student.training.logits")


def _tail_misfits(objective: LogitsSignalConfig, logits: LogitsConfig, field: str) -> list[str]:
    """What an objective needs of the tail."""
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
    return problems + _tail_misfits(training.on_rollouts.objective, captured, "student.training.on_policy")
