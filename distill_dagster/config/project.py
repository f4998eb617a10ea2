"""The whole of `distill.yaml`."""

import re
from datetime import date
from pathlib import Path

from pydantic import Field, PrivateAttr, field_validator, model_validator

from distill_dagster.config.alerts import AlertsConfig
from distill_dagster.config.automation import AutomationConfig
from distill_dagster.config.bucket import bucket_problem, folder_name, is_bucket
from distill_dagster.config.compute import ComputeConfig
from distill_dagster.config.data import DataConfig
from distill_dagster.config.engine import engine_misfits
from distill_dagster.config.evaluation import EvaluationConfig
from distill_dagster.config.export import ExportConfig
from distill_dagster.config.option_misfits import option_misfits
from distill_dagster.config.quality import ChecksConfig, QualityConfig
from distill_dagster.config.release import ReleaseConfig
from distill_dagster.config.section import Section, TaskName
from distill_dagster.config.student import StudentConfig
from distill_dagster.config.teacher import TeacherConfig
from distill_dagster.config.tracking import TrackingConfig

LOCAL_FOLDER = ".distill"
OWNER = re.compile(r"team:\S.*|[A-Za-z0-9._%+-]+@[A-Za-z0-9.-]+\.[A-Za-z]{2,7}")  # what Dagster takes


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
