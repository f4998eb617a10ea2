"""distill.yaml: which files are accepted, which are refused, and whether the message shows the way out."""

from pathlib import Path
from typing import get_args

import pytest
import yaml
from pydantic import BaseModel

from distill_dagster.config import DistillConfig, EvaluationConfig, QualityConfig, StudentTrainingConfig
from distill_dagster.config.reading import check_config, load_config
from distill_dagster.errors import ConfigError
from distill_dagster.lineage.freshness import code_versions, stages_of
from distill_dagster.lineage.settings import reading
from testing.projects import tiny_settings


def write(folder, settings) -> str:
    path = folder / "distill.yaml"
    path.write_text(settings if isinstance(settings, str) else yaml.safe_dump(settings))
    return str(path)


def test_relative_paths_are_relative_to_the_file(tmp_path):
    (tmp_path / "models" / "big").mkdir(parents=True)
    settings = tiny_settings(**{"teacher.model": {"name": "models/big"}, "data.test": "s3://bucket/test.jsonl"})
    config = load_config(write(tmp_path, settings))
    assert config.store == str(tmp_path / "store")
    assert config.data.train == [str(tmp_path / "data/train/*.jsonl")]
    assert config.data.test == ["s3://bucket/test.jsonl"]
    assert config.teacher.model.name == str(tmp_path / "models/big")


def test_an_empty_section_has_its_defaults_and_one_that_may_be_left_out_is_left_out(tmp_path):
    settings = tiny_settings(quality=None, automation=None, release=None)
    settings["student"]["training"] = None
    config = load_config(write(tmp_path, settings))
    assert config.quality == QualityConfig()
    assert config.student.training == StudentTrainingConfig()
    assert config.release is None
    with pytest.raises(ConfigError, match="teacher"):
        load_config(write(tmp_path, {**settings, "teacher": None}))


def test_a_hub_name_is_not_a_path(tmp_path):
    settings = tiny_settings(**{"student.model": {"name": "meta-llama/Llama-3.2-1B"}})
    assert load_config(write(tmp_path, settings)).student.model.name == "meta-llama/Llama-3.2-1B"


@pytest.mark.parametrize(
    ("changes", "field", "words"),
    [
        ({"task": "poetry"}, "task", "'poetry'"),
        ({"student.training.learning_rate": 3}, "student.training.learning_rate", "less than or equal to 0.1"),
        ({"teacher.generation.samples": 4}, "teacher.generation", "raise `temperature`"),
        ({"teacher.fit": None}, "teacher", "add `fit`"),
        ({"student.model": {}}, "student.model", "exactly one of `name`"),
        ({"student.model": {"name": "a/b", "tokenizer": "teacher"}}, "student.model", "`tokenizer` is for a new model"),
        ({"student.model.revision": "abc"}, "student.model", "`revision: abc` pins a model of the hub"),
        ({"compute.generate": {"processes": 2}}, "compute.generate", "only trainings are shared"),
        ({"student.training": {"parallel": "fsdp", "optimizer": "adafactor"}}, "student.training", "parallel: ddp"),
        ({"data.train": []}, "data.train", "at least 1"),
    ],
)
def test_a_wrong_field_is_named_with_its_path(tmp_path, changes, field, words):
    path = write(tmp_path, tiny_settings(**changes))
    with pytest.raises(ConfigError) as error:
        load_config(path)
    assert path in str(error.value)
    assert f": {field}: " in str(error.value)
    assert words in str(error.value)


def test_every_problem_is_listed_at_once(tmp_path):
    path = write(tmp_path, tiny_settings(**{"tusk": 1, "data.nope": 2, "student.training.epochs": 0}))
    with pytest.raises(ConfigError, match="3 problems"):
        load_config(path)


def test_a_key_without_a_colon_is_named_by_its_line(tmp_path):
    with pytest.raises(ConfigError, match=r"distill\.yaml:2: not valid YAML: could not find expected ':'"):
        load_config(write(tmp_path, "task: qa\nteacher\n  model: {name: /m}\n"))


@pytest.mark.parametrize(("text", "words"), [("a: [1", "not valid YAML"), ("- 1\n", "a mapping"), ("", "a mapping")])
def test_a_broken_file_is_explained(tmp_path, text, words):
    with pytest.raises(ConfigError, match=words):
        load_config(write(tmp_path, text))


def test_a_missing_file_names_the_way_out(tmp_path):
    with pytest.raises(ConfigError, match="distill-dagster init"):
        load_config(tmp_path / "nothing.yaml")


def test_environment_variables_are_expanded(tmp_path, monkeypatch):
    monkeypatch.setenv("DISTILL_TEST_STORE", "/mnt/fast")
    path = write(tmp_path, tiny_settings(store="${DISTILL_TEST_STORE}/store"))
    assert load_config(path).store == "/mnt/fast/store"
    monkeypatch.delenv("DISTILL_TEST_STORE")
    with pytest.raises(ConfigError, match="store names the environment variable DISTILL_TEST_STORE, which is not set"):
        load_config(path)


@pytest.mark.parametrize("url", ["http://h/store", "s3://", "s3://bucket/a#b", "s3://bucket//a", "file:///store"])
def test_a_url_that_is_no_folder_in_a_bucket_is_refused(tmp_path, url):
    with pytest.raises(ConfigError, match=r"store: .* is no place for a store: give a local path, or .*s3://bucket"):
        load_config(write(tmp_path, tiny_settings(store=url)))


def test_a_store_in_a_bucket_has_a_local_folder_beside_the_config(tmp_path):
    config = load_config(write(tmp_path, tiny_settings(store="s3://bucket/store/")))
    assert config.store == "s3://bucket/store"
    assert config.local_root.parent == tmp_path / ".distill"
    assert config.local_root.name.startswith("s3-bucket-store-")
    other = load_config(write(tmp_path, tiny_settings(store="s3://bucket-store")))
    assert other.local_root != config.local_root, "two stores share no folder"
    config = load_config(write(tmp_path, tiny_settings(store="s3://bucket/store", local_folder="/scratch/copies")))
    assert config.local_root.parent == Path("/scratch/copies")
    with pytest.raises(ConfigError, match="local_folder: s3://b/c is a URL: give a local path"):
        load_config(write(tmp_path, tiny_settings(local_folder="s3://b/c")))


def test_a_project_with_a_local_store_hashes_and_writes_what_it_did(tmp_path):
    config = load_config(write(tmp_path, tiny_settings()))
    assert "local_folder" not in config.model_dump()
    assert config.local_root == Path(config.store)


@pytest.mark.parametrize("prefix", ["9lives", "a-b", "a/b", "a b", "_\n"])
def test_a_prefix_that_dagster_cannot_take_is_refused(tmp_path, prefix):
    with pytest.raises(ConfigError, match="key_prefix: "):
        load_config(write(tmp_path, tiny_settings(key_prefix=prefix)))


def test_the_prefix_makes_nothing_stale():
    plain, prefixed = (check_config(tiny_settings(key_prefix=prefix), "test") for prefix in ("", "intent_v2"))
    assert code_versions(plain) == code_versions(prefixed)
    assert [stage.shaped_by(plain) for stage in stages_of(plain)] == [
        stage.shaped_by(prefixed) for stage in stages_of(prefixed)
    ]


def options(task, prompting=None, words=None, learn=None):
    changes = {"task": task, "teacher.prompting": prompting, "teacher.summary_words": words, "student.learn": learn}
    return tiny_settings(**{field: value for field, value in changes.items() if value is not None})


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        (options("conversation", "chain_of_thought"), ["chain_of_thought", "task: conversation", "prompting: plain"]),
        (options("summarization", "chain_of_thought"), ["chain_of_thought", "task: summarization", "prompting: plain"]),
        *(
            (options(task, "chain_of_density"), ["chain_of_density", f"task: {task}", "task: summarization"])
            for task in ("nli", "qa", "math", "classification", "conversation")
        ),
        (options("nli", words=100), ["summary_words: 100", "task: nli", "leave it out (then it is 80)"]),
        (options("summarization", words=100), ["summary_words: 100", "prompting: plain", "chain_of_density"]),
        (
            options("nli", learn="reasoning_and_answer"),
            ["learn: reasoning_and_answer", "is plain", "prompting: chain_of_thought", "learn: answer"],
        ),
        (
            options("summarization", "chain_of_density", learn="reasoning_and_answer"),
            ["learn: reasoning_and_answer", "is chain_of_density"],
        ),
        (options("nli", "chain_of_density", 50, "reasoning_and_answer"), ["task: nli`", "words: 50", "learn: answer"]),
    ],
)
def test_task_and_options_that_do_not_fit_are_e008_with_the_way_out(tmp_path, settings, words):
    with pytest.raises(ConfigError) as error:
        load_config(write(tmp_path, settings))
    assert "E008: " in str(error.value)
    assert [word for word in words if word not in str(error.value)] == []


@pytest.mark.parametrize(
    "settings",
    [
        *(options(task) for task in ("nli", "qa", "math", "classification", "conversation", "summarization")),
        *(options(task, "chain_of_thought") for task in ("nli", "qa", "math", "classification")),
        *(options(task, "chain_of_thought", 80, "reasoning_and_answer") for task in ("nli", "math")),
        options("summarization", "chain_of_density", 100, "answer"),
    ],
)
def test_task_and_options_that_fit_are_accepted(tmp_path, settings):
    assert load_config(write(tmp_path, settings)).task == settings["task"]


@pytest.mark.parametrize("words", [19, 1001])
def test_a_summary_length_outside_the_bounds_is_refused(tmp_path, words):
    with pytest.raises(ConfigError, match=r"teacher\.summary_words"):
        load_config(write(tmp_path, options("summarization", "chain_of_density", words)))


@pytest.mark.parametrize("number", [float("nan"), float("inf")])
def test_a_number_that_json_lacks_is_refused(number):
    with pytest.raises(ConfigError, match=r"automation\.report_hours: Input should be a finite number"):
        check_config(tiny_settings(**{"automation.report_hours": number}), "here")


def test_keys_of_the_rows_that_change_nothing_shape_the_reading_only_where_they_are_named():
    plain, named = (check_config(tiny_settings(**{"data.meta_keys": keys}), "here") for keys in ([], ["b", "a"]))
    assert "meta_keys" not in reading(plain)["reading"], "an existing store stays fresh"
    assert reading(named)["reading"]["meta_keys"] == ["a", "b"]


def sections_of(model: type[BaseModel], found: dict[type[BaseModel], None]) -> dict[type[BaseModel], None]:
    """The model of a section, and those of the sections within it."""
    if model not in found:
        found[model] = None
        for field in model.model_fields.values():
            for part in parts_of(field.annotation):
                if isinstance(part, type) and issubclass(part, BaseModel):
                    sections_of(part, found)
    return found


def parts_of(annotation: object) -> list[object]:
    """The types that an annotation is made of."""
    parts = [part for part in get_args(annotation) if not isinstance(part, str)]
    return [inner for part in parts for inner in parts_of(part)] or [annotation]


def test_a_default_is_the_same_after_a_config_was_sent_to_a_run():
    """A run reads the config as JSON, where a float of 3 is 3.0: with another default, an artefact was never fresh."""
    sections = sections_of(DistillConfig, {})
    assert {StudentTrainingConfig, EvaluationConfig} <= sections.keys()
    for section in sections:
        for name, field in section.model_fields.items():
            if float in parts_of(field.annotation) and int not in parts_of(field.annotation):
                assert not isinstance(field.default, int), f"{section.__name__}.{name}: write {field.default}.0"
