"""`distill.yaml` as typed sections: a project's data, its teacher and student, and what it expects of them.

The smallest useful file (docs/config.md lists every field with its default):

    task: nli
    data: {train: data/train/*.jsonl, test: data/test.jsonl}
    teacher: {model: {name: /models/llama-3.1-8b-instruct}}
    student: {model: {name: /models/llama-3.2-1b}}

Unknown fields are errors, so that a typo never silently leaves a default in force. No field holds a secret. reading.py
reads the file, schema.py writes its JSON Schema, and reference.py writes docs/config.md.
"""

from distill_dagster.config.alerts import AlertsConfig
from distill_dagster.config.automation import AutomationConfig
from distill_dagster.config.compute import ComputeConfig, Need
from distill_dagster.config.data import DataConfig, FormatName
from distill_dagster.config.endpoint import ParametersConfig, PriceConfig
from distill_dagster.config.evaluation import EvaluationConfig
from distill_dagster.config.export import EXPORT_FORMATS, ExportConfig, ExportFormat
from distill_dagster.config.hidden import HiddenSignalConfig, RelationsConfig
from distill_dagster.config.k8s import K8sConfig, K8sPod, Toleration
from distill_dagster.config.logits import LogitsConfig
from distill_dagster.config.lora import LoraConfig
from distill_dagster.config.models import GenerationConfig, ModelConfig, TrainingConfig
from distill_dagster.config.on_policy import OnPolicyConfig, RepetitionConfig
from distill_dagster.config.project import DistillConfig
from distill_dagster.config.publish import (
    BucketPlaceConfig,
    FolderPlaceConfig,
    HubPlaceConfig,
    MlflowPlaceConfig,
    PublishConfig,
)
from distill_dagster.config.quality import ChecksConfig, QualityConfig, Severity, SeverityConfig
from distill_dagster.config.ray import RayConfig
from distill_dagster.config.release import HubBenchmarkConfig, ReleaseConfig
from distill_dagster.config.section import (
    ROLES,
    SUMMARY_WORDS,
    Engine,
    Learn,
    MeasuredRole,
    Prompting,
    Role,
    Section,
    TaskName,
    VerdictWord,
)
from distill_dagster.config.signals import DivergenceName, LogitsSignalConfig, SignalName, StudentTrainingConfig
from distill_dagster.config.space import SpaceConfig
from distill_dagster.config.speed import SpeedConfig
from distill_dagster.config.student import StudentConfig
from distill_dagster.config.student_init import StudentInitConfig
from distill_dagster.config.sweep import PrunerConfig, SweepConfig
from distill_dagster.config.teacher import (
    BestOfConfig,
    EndpointConfig,
    MixedTeacher,
    SmokeConfig,
    TeacherConfig,
    TeacherSource,
)
from distill_dagster.config.tracking import MlflowTrackingConfig, TrackingConfig

__all__ = [
    "EXPORT_FORMATS",
    "ROLES",
    "SUMMARY_WORDS",
    "AlertsConfig",
    "AutomationConfig",
    "BestOfConfig",
    "BucketPlaceConfig",
    "ChecksConfig",
    "ComputeConfig",
    "DataConfig",
    "DistillConfig",
    "DivergenceName",
    "EndpointConfig",
    "Engine",
    "EvaluationConfig",
    "ExportConfig",
    "ExportFormat",
    "FolderPlaceConfig",
    "FormatName",
    "GenerationConfig",
    "HiddenSignalConfig",
    "HubBenchmarkConfig",
    "HubPlaceConfig",
    "K8sConfig",
    "K8sPod",
    "Learn",
    "LogitsConfig",
    "LogitsSignalConfig",
    "LoraConfig",
    "MeasuredRole",
    "MixedTeacher",
    "MlflowPlaceConfig",
    "MlflowTrackingConfig",
    "ModelConfig",
    "Need",
    "OnPolicyConfig",
    "ParametersConfig",
    "PriceConfig",
    "Prompting",
    "PrunerConfig",
    "PublishConfig",
    "QualityConfig",
    "RayConfig",
    "RelationsConfig",
    "ReleaseConfig",
    "RepetitionConfig",
    "Role",
    "Section",
    "Severity",
    "SeverityConfig",
    "SignalName",
    "SmokeConfig",
    "SpaceConfig",
    "SpeedConfig",
    "StudentConfig",
    "StudentInitConfig",
    "StudentTrainingConfig",
    "SweepConfig",
    "TaskName",
    "TeacherConfig",
    "TeacherSource",
    "Toleration",
    "TrackingConfig",
    "TrainingConfig",
    "VerdictWord",
]
