"""The schema of the component's attributes: what distill.yaml takes, templates, and a mistake at its own place."""

import pytest
from jsonschema import Draft202012Validator

from distill_dagster.config.component_schema import component_schema, inlined_schema
from testing.projects import tiny_settings


@pytest.fixture(scope="module", params=[component_schema, inlined_schema], ids=["with definitions", "inlined"])
def schema(request) -> Draft202012Validator:
    document = request.param()
    Draft202012Validator.check_schema(document)
    return Draft202012Validator(document)


@pytest.mark.parametrize(
    "attributes",
    [
        {"config_file": "distill.yaml"},
        {"config_file": "{{ env.CONFIG }}"},
        tiny_settings(),
        tiny_settings(**{"teacher.fit": None, "teacher.logits": {"k": 8}}),
        tiny_settings(**{"task": "{{ env.TASK }}", "student.training.epochs": "{{ epochs }}", "name": "{{ name }}"}),
        tiny_settings(**{"teacher.fit": "{{ fit() }}", "student": "{{ student }}", "teacher.model.seed": "${SEED}"}),
    ],
)
def test_what_the_component_takes_is_valid(schema, attributes):
    assert [error.message for error in schema.iter_errors(attributes)] == []


@pytest.mark.parametrize(
    ("attributes", "place", "words"),
    [
        (tiny_settings(tusk="nli"), "$", "'tusk' was unexpected"),
        (tiny_settings(**{"student.training.epoch": 3}), "$.student.training", "'epoch' was unexpected"),
        (tiny_settings(**{"teacher.fit.epoch": 3}), "$.teacher.fit", "'epoch' was unexpected"),
        (tiny_settings(**{"teacher.model.vocab": 3}), "$.teacher.model", "'vocab' was unexpected"),
        (tiny_settings(**{"student.training.epochs": -1}), "$.student.training.epochs", "-1 is not valid"),
        (tiny_settings(**{"teacher.fit": 3}), "$.teacher.fit", "3 is not valid"),
        (tiny_settings(data=None), "$.data", "None is not valid"),
        ({"config_file": "a.yaml", "task": "nli"}, "$", "'task' was unexpected"),
    ],
)
def test_a_mistake_is_reported_at_its_place(attributes, place, words):
    (error,) = Draft202012Validator(component_schema()).iter_errors(attributes)
    assert error.json_path == place
    assert words in error.message


def test_without_config_file_the_fields_of_the_config_are_required(schema):
    errors = [error.message for error in schema.iter_errors({})]
    assert errors == [f"'{name}' is a required property" for name in ("task", "data", "teacher", "student")]


def test_the_fields_keep_their_descriptions():
    schema = component_schema()
    assert schema["properties"]["store"]["description"].startswith("Local folder in which every artefact is published")
    assert schema["properties"]["task"]["description"].endswith("Required unless `config_file` is given.")
    assert schema["properties"]["teacher"]["description"].startswith("The large model whose answers")
