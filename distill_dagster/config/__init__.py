"""`distill.yaml`, typed: what a project says about its data, its two models, and what it expects of them.

Worked example, the smallest useful file (every field left out has the default that is described below):

    task: nli
    data: {train: data/train/*.jsonl, test: data/test.jsonl}
    teacher: {model: {name: /models/llama-3.1-8b-instruct}}
    student: {model: {name: /models/llama-3.2-1b}}

Unknown fields are errors, so that a typo never silently leaves a default in force. Secrets have no field here. How
the file is read is in config_file.py.
"""

from distill_dagster.config.data import DataConfig, FormatName
from distill_dagster.config.models import GenerationConfig, ModelConfig, TrainingConfig
from distill_dagster.config.project import (
    AlertsConfig,
    AutomationConfig,
    ComputeConfig,
    DistillConfig,
    EvaluationConfig,
    Need,
    StudentConfig,
)
from distill_dagster.config.quality import ChecksConfig, QualityConfig, Severity, SeverityConfig
from distill_dagster.config.section import (
    ROLES,
    SUMMARY_WORDS,
    Engine,
    Learn,
    Prompting,
    Role,
    Section,
    TaskName,
    VerdictWord,
)
from distill_dagster.config.teacher import (
    BestOfConfig,
    EndpointConfig,
    LogitsConfig,
    MixedTeacher,
    PriceConfig,
    SmokeConfig,
    TeacherConfig,
    TeacherSource,
)

__all__ = [
    "ROLES",
    "SUMMARY_WORDS",
    "AlertsConfig",
    "AutomationConfig",
    "BestOfConfig",
    "ChecksConfig",
    "ComputeConfig",
    "DataConfig",
    "DistillConfig",
    "EndpointConfig",
    "Engine",
    "EvaluationConfig",
    "FormatName",
    "GenerationConfig",
    "Learn",
    "LogitsConfig",
    "MixedTeacher",
    "ModelConfig",
    "Need",
    "PriceConfig",
    "Prompting",
    "QualityConfig",
    "Role",
    "Section",
    "Severity",
    "SeverityConfig",
    "SmokeConfig",
    "StudentConfig",
    "TaskName",
    "TeacherConfig",
    "TeacherSource",
    "TrainingConfig",
    "VerdictWord",
]
