"""Messages about a wrong config: one line each, with the line of the field and what was meant, without regular
expressions."""

import re

import pytest
import yaml

from distill_dagster.config.explaining import FORMS
from distill_dagster.config.reading import load_config
from distill_dagster.config.schema import config_schema
from distill_dagster.errors import ConfigError
from testing.projects import tiny_settings


def refused(folder, **changes) -> tuple[str, list[str]]:
    """The message, and the file's lines."""
    path = folder / "distill.yaml"
    path.write_text(yaml.safe_dump(tiny_settings(**changes), sort_keys=False))
    with pytest.raises(ConfigError) as error:
        load_config(path)
    return str(error.value), path.read_text().splitlines()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"student.training.learning_rat": 1},
            "unknown field learning_rat, did you mean learning_rate? (in student.training)",
        ),
        ({"tusk": "nli"}, "unknown field tusk, did you mean task?"),
        ({"traning": {}}, "unknown field traning, did you mean training? It belongs in student"),
        ({"student.learning_rate": 1}, "unknown field learning_rate (in student): it belongs in teacher.fit"),
        ({"data.zzz": 1}, "unknown field zzz (in data): remove it; docs/config.md lists the fields"),
        ({"student.training.epochs": 0}, "student.training.epochs: Input should be greater than 0 (got 0)"),
        ({"task": "clasification"}, "did you mean 'classification'? (got 'clasification')"),
        ({"store": None}, "store: this is no text: write it in quotes if it is, or leave the field out (got None)"),
        ({"name": "my project"}, "name: use letters, digits, _ and -, at most 61"),
        ({"alerts.ui_url": "localhost"}, "alerts.ui_url: write a URL such as https://host/path, without credentials"),
        ({"owners": ["data team"]}, "'data team' is no owner: write `team:data team`, or an e-mail address"),
        ({"quality": []}, "quality: Input should be a valid dictionary"),
    ],
)
def test_one_problem_is_one_line_with_the_line_of_its_field(tmp_path, changes, message):
    said, lines = refused(tmp_path, **changes)
    assert message in said
    assert "\n" not in said
    line = int(re.fullmatch(r".*/distill\.yaml:(\d+): .*", said)[1])
    assert next(iter(changes)).rpartition(".")[2] in lines[line - 1]


def test_several_problems_each_have_their_line(tmp_path):
    said, lines = refused(tmp_path, **{"tusk": 1, "data.nope": 2, "student.training.epochs": 0})
    head, *problems = said.splitlines()
    assert head == f"{tmp_path}/distill.yaml: 3 problems"
    for problem, name in zip(problems, ("nope", "epochs", "tusk"), strict=True):
        line = int(re.match(r"  distill\.yaml:(\d+): ", problem)[1])
        assert name in problem
        assert name in lines[line - 1]


def test_a_problem_inside_a_list_has_the_line_of_its_item(tmp_path):
    path = tmp_path / "distill.yaml"
    settings = {key: value for key, value in tiny_settings().items() if key != "teacher"}
    mix = "teacher:\n  mix:\n    - model: {name: a/b}\n    - model: {name: a/b}\n      wieght: 2\n"
    path.write_text(mix + yaml.safe_dump(settings))
    with pytest.raises(ConfigError, match=r"yaml:5: unknown field wieght, did you mean weight\? \(in teacher\.mix\.1"):
        load_config(path)


def test_a_key_that_comes_twice_is_refused_with_both_lines(tmp_path):
    path = tmp_path / "distill.yaml"
    path.write_text("task: nli\n" + yaml.safe_dump(tiny_settings(), sort_keys=False))
    with pytest.raises(ConfigError, match=r"distill\.yaml:2: `task` is here and on line 1: remove one of the two"):
        load_config(path)


def test_a_variable_that_is_empty_is_named(tmp_path, monkeypatch):
    monkeypatch.setenv("DISTILL_TEST_EMPTY", "")
    said, _ = refused(tmp_path, store="${DISTILL_TEST_EMPTY}/store")
    assert said.endswith("store names the environment variable DISTILL_TEST_EMPTY, which is empty: give it a value")


def test_the_value_of_a_variable_is_not_shown(tmp_path, monkeypatch):
    monkeypatch.setenv("DISTILL_TEST_SECRET", "hunter2 hunter2")
    said, _ = refused(tmp_path, name="${DISTILL_TEST_SECRET}")
    assert "hunter2" not in said
    assert "got the value of '${DISTILL_TEST_SECRET}'" in said


@pytest.mark.parametrize("path", ["file", "file/store"])
def test_a_store_that_is_a_file_is_refused(tmp_path, path):
    (tmp_path / "file").write_text("")
    said, _ = refused(tmp_path, store=path)
    assert f"store: {tmp_path}/file is no folder, and the store is one: choose another path" in said


def test_a_folder_as_the_config_names_the_file(tmp_path):
    with pytest.raises(ConfigError, match=r"this is a folder, and --config names a file, such as .*/distill\.yaml"):
        load_config(tmp_path)


def patterns(node):
    if isinstance(node, dict):
        if isinstance(node.get("pattern"), str):
            yield node["pattern"]
        node = list(node.values())
    for inner in node if isinstance(node, list) else []:
        yield from patterns(inner)


def test_every_pattern_of_a_field_is_explained_in_words():
    of_variables = r"\$\{[A-Za-z_][A-Za-z0-9_]*\}"
    assert set(patterns(config_schema())) - {of_variables} == set(FORMS)
