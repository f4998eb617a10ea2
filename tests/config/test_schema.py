"""The JSON Schema of distill.yaml: it takes what the reader takes, and refuses a typo."""

from pathlib import Path

import pytest
import yaml
from jsonschema import Draft202012Validator

from distill_dagster.config import Section
from distill_dagster.config.schema import config_schema
from distill_dagster.demo.project import DEMO_CONFIG
from testing.projects import tiny_settings

ROOT = Path(__file__).parents[2]
SCHEMA = Draft202012Validator(config_schema())


def errors(settings) -> list[str]:
    return [f"{error.json_path}: {error.message}" for error in SCHEMA.iter_errors(settings)]


def test_the_schema_is_one():
    Draft202012Validator.check_schema(config_schema())
    assert config_schema()["title"] == "distill.yaml"


@pytest.mark.parametrize("path", [DEMO_CONFIG, *sorted((ROOT / "examples").glob("*.yaml"))], ids=lambda path: path.stem)
def test_every_example_is_valid(path):
    assert errors(yaml.safe_load(path.read_text())) == []


@pytest.mark.parametrize("path", sorted((ROOT / "examples" / "teachers").glob("*.yaml")), ids=lambda path: path.stem)
def test_every_teacher_is_valid_in_a_config(path):
    assert errors(tiny_settings(**yaml.safe_load(path.read_text()))) == []


@pytest.mark.parametrize(
    "changes",
    [
        {"data.train": "a.jsonl", "data.validation": "b.jsonl", "data.test": ["c.jsonl", "s3://d/e.jsonl"]},
        {"checks.severity": {"few_refusals": False, "column_schema_change": False, "no_leakage": "off"}},
        {"teacher.fit.early_stopping_patience": None, "quality.near_duplicate_similarity": None},
        {"compute.devices": "auto"},
        {"compute.devices": ["0", "1"]},
        {
            "task": "${TASK}",
            "student.training.learning_rate": "${RATE}",
            "student.training.epochs": "1${ZEROS}",
            "data.require_system": "${STRICT}",
            "alerts.ui_url": "${UI}",
            "checks.severity": {"few_refusals": "${LEVEL}"},
            "store": "${SCRATCH}/store",
        },
    ],
)
def test_what_the_reader_takes_is_valid(changes):
    assert errors(tiny_settings(**changes)) == []


@pytest.mark.parametrize(
    ("changes", "place"),
    [
        ({"tusk": "nli"}, "$"),
        ({"student.training.learning_rat": 1e-4}, "$.student.training"),
        ({"teacher.fit.epoch": 3}, "$.teacher.fit"),
        ({"checks.severity": {"few_refusal": "warn"}}, "$.checks.severity"),
        ({"task": "poetry"}, "$.task"),
        ({"task": "$TASK"}, "$.task"),
        ({"student.training.learning_rate": 3}, "$.student.training.learning_rate"),
        ({"student.training.batch_size": 0}, "$.student.training.batch_size"),
        ({"data.train": []}, "$.data.train"),
        ({"checks.severity": {"column_schema_change": "error"}}, "$.checks.severity.column_schema_change"),
        ({"checks.severity": {"few_refusals": True}}, "$.checks.severity.few_refusals"),
        ({"name": "a b"}, "$.name"),
    ],
)
def test_a_mistake_is_refused_at_its_place(changes, place):
    (error,) = errors(tiny_settings(**changes))
    assert error.startswith(f"{place}: ")


def test_what_is_required_is_missed():
    (error,) = errors({name: value for name, value in tiny_settings().items() if name != "task"})
    assert "'task' is a required property" in error


def sections(base=Section):
    for section in base.__subclasses__():
        yield section
        yield from sections(section)


def test_every_field_has_a_description():
    own = [section for section in sections() if section.__module__.startswith("distill_dagster.config")]
    assert {"DistillConfig", "EndpointConfig", "SeverityConfig"} <= {section.__name__ for section in own}
    fields = [(section.__name__, name, field) for section in own for name, field in section.model_fields.items()]
    assert [(kind, name) for kind, name, field in fields if not (field.description or "").endswith(".")] == []
