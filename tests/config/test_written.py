"""YAML as it is written: the types of YAML 1.2, keys that come twice, and text where text is expected."""

import pytest
import yaml

from distill_dagster.config.reading import load_config
from distill_dagster.config.written import YamlError, read_yaml
from distill_dagster.errors import ConfigError
from testing.projects import tiny_settings


def write(folder, text: str, **changes):
    """A config with this text at its end."""
    settings = tiny_settings(**changes)
    for section in yaml.safe_load(text.replace("${", "$")) or {}:
        settings.pop(section, None)
    path = folder / "distill.yaml"
    path.write_text(yaml.safe_dump(settings) + text)
    return path


@pytest.mark.parametrize(
    ("text", "value"),
    [
        *[(word, word) for word in ("yes", "no", "on", "off", "y", "Yes", "NO", "2026-01-01", "1:30", "1_000", "0b1")],
        *[("true", True), ("FALSE", False), ("null", None), ("~", None), ("", None)],
        *[("1e-5", 1e-5), ("1.", 1.0), (".5", 0.5), ("-.inf", float("-inf")), ("+3", 3), ("010", 10), ("0x1F", 31)],
        *[("'yes'", "yes"), ('"1"', "1"), ("a b", "a b"), ("0o17", "0o17")],
    ],
)
def test_plain_scalars_have_the_types_of_yaml_1_2(text, value):
    assert read_yaml(f"a: {text}\n").value == {"a": value}


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("a: 1\nb:\n  c: 1\n  d: 2\n  c: 3\n", 5, "`c` is here and on line 3"),
        ("a: 1\n'a': 2\n", 2, "`a` is here and on line 1"),
        ("a: [{b: 1, b: 2}]\n", 1, "`b` is here"),
        ("a: &x {b: *x}\n", 1, "holds the alias itself"),
        ("a: 1\n---\nb: 2\n", None, "several documents"),
        ("a: 1\nb: [1\n", 3, "expected"),
        ("a: !!python/object:os.system x\n", 1, "tag"),
        ("a: \x07\n", None, "special characters"),
    ],
)
def test_what_is_no_mapping_of_unique_keys_is_refused_with_its_line(text, line, words):
    with pytest.raises(YamlError, match=words) as error:
        read_yaml(text)
    assert error.value.line == line


def test_aliases_that_stand_for_billions_of_values_are_refused():
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 9)]
    with pytest.raises(YamlError, match="more than 100,000 values"):
        read_yaml("\n".join(lines))


def test_a_merged_section_may_be_overridden():
    assert read_yaml("a: &a {b: 1, c: 2}\nd: {<<: *a, c: 3}\n").value["d"] == {"b": 1, "c": 3}


def test_labels_are_text_as_they_are_written(tmp_path):
    path = write(tmp_path, "quality: {labels: [yes, no, 1, 1.10, 012, true, off, 2026-01-01, 1e3, '~']}\n")
    expected = ["yes", "no", "1", "1.10", "012", "true", "off", "2026-01-01", "1e3", "~"]
    assert load_config(path).quality.labels == expected


def test_every_text_field_takes_what_is_written(tmp_path):
    path = write(tmp_path, "name: 2024\nowners: [team:1]\nstudent: {model: {name: org/m, revision: 1234567}}\n")
    config = load_config(path)
    assert (config.name, config.student.model.revision) == ("2024", "1234567")
    assert load_config(write(tmp_path, "compute: {devices: [0, 1]}\n")).compute.devices == ["0", "1"]


def test_a_label_that_is_nothing_has_to_be_quoted(tmp_path):
    with pytest.raises(ConfigError, match=r"yaml:\d+: quality\.labels\.1: this is no text: write it in quotes"):
        load_config(write(tmp_path, "quality: {labels: [a, null]}\n"))


@pytest.mark.parametrize("word", ["off", "no", "false", "'off'"])
def test_a_severity_can_be_switched_off_in_every_spelling(tmp_path, word):
    severity = "off" if "off" in word else word
    path = write(tmp_path, f"checks: {{severity: {{no_leakage: {severity}}}}}\n")
    if word == "no":
        with pytest.raises(ConfigError, match="no_leakage"):
            load_config(path)
    else:
        assert load_config(path).checks.severity.no_leakage == "off"


@pytest.mark.parametrize("word", ["yes", "no"])
def test_booleans_of_yaml_1_1_are_booleans_where_one_is_expected(tmp_path, word):
    assert load_config(write(tmp_path, f"compute: {{train: {{cpu: {word}}}}}\n")).compute.train.cpu == (word == "yes")


def test_where_any_type_may_stand_a_word_with_two_readings_is_refused(tmp_path):
    model = "student:\n  model:\n    architecture: llama\n    tokenizer: teacher\n    settings: {use_cache: no}\n"
    with pytest.raises(ConfigError, match=r"settings\.use_cache: YAML 1.1 and 1.2 read `no` differently"):
        load_config(write(tmp_path, model))
    kept = load_config(write(tmp_path, model.replace("no}", "false}")))
    assert kept.student.model.settings == {"use_cache": False}


@pytest.mark.parametrize(
    ("labels", "says"),
    [
        ("[]", "the list is empty.*remove the field"),
        ("['']", "label 1 is blank"),
        ("[spam, ' ', ham]", "label 2 is blank"),
        ("[spam, '\u200b']", "label 2 is blank"),
        ("[spam, ham, spam]", r"label 3 \('spam'\) is the same as label 1"),
        ("[spam, ' spam']", r"label 2 .* is the same as label 1"),
        ("[café, 'cafe\u0301']", "label 2 .* is the same as label 1"),
    ],
)
def test_labels_that_no_answer_can_tell_apart_are_refused(tmp_path, labels, says):
    with pytest.raises(ConfigError, match=rf"quality\.labels.*{says}"):
        load_config(write(tmp_path, f"quality: {{labels: {labels}}}\n"))


def test_labels_that_differ_in_case_or_marks_are_kept(tmp_path):
    path = write(tmp_path, "quality: {labels: [US, us, 'yes?', 'yes!']}\n")
    assert load_config(path).quality.labels == ["US", "us", "yes?", "yes!"]
