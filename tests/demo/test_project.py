"""The demo is an ordinary project folder, and never replaces a file that it did not write."""

import pytest
import yaml

from distill_dagster.config.reading import load_config
from distill_dagster.demo.project import DEMO_CONFIG, DEMO_FOLDER, demo_config, write_demo
from distill_dagster.errors import ConfigError


def test_the_demo_reads_and_writes_below_its_folder(tmp_path):
    config = load_config(write_demo(tmp_path / "new" / "folder"))
    folder = tmp_path / "new" / "folder"
    assert config.store == str(folder / "store")
    assert config.data.train == [str(folder / "data/train/*.jsonl")]
    assert len([*folder.glob("data/train/*.jsonl")]) == 8
    for path in (*config.data.validation, *config.data.test):
        assert path.startswith(f"{folder}/data/")
    assert sorted(path.name for path in folder.iterdir()) == ["data", "distill.yaml"]


def test_a_second_call_changes_nothing(tmp_path):
    config = write_demo(tmp_path)
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "data").rglob("*.jsonl")}
    assert write_demo(tmp_path) == config
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "data").rglob("*.jsonl")} == before
    assert config.read_bytes() == DEMO_CONFIG.read_bytes()


def test_without_the_packages_of_an_export_the_demo_exports_nothing(tmp_path, monkeypatch):
    whole = yaml.safe_load(write_demo(tmp_path / "whole").read_text())
    monkeypatch.setattr("distill_dagster.demo.project.missing_packages", lambda form: ["xllamacpp"])
    config = write_demo(tmp_path / "bare")
    assert load_config(config).export.formats == []
    assert yaml.safe_load(config.read_text()) == {key: whole[key] for key in whole if key != "export"}
    assert whole["export"]["formats"]
    assert config.read_text().endswith("release: {}\n")


def test_a_config_that_was_edited_is_kept(tmp_path):
    config = write_demo(tmp_path)
    text = config.read_text().replace("support-desk", "mine")
    config.write_text(text)
    with pytest.raises(ConfigError, match="differs from the demo's config: run it with `distill-dagster run"):
        write_demo(tmp_path)
    assert config.read_text() == text


def test_a_folder_with_other_files_is_refused(tmp_path):
    own = tmp_path / "data" / "test.jsonl"
    own.parent.mkdir()
    own.write_text("mine")
    with pytest.raises(ConfigError, match="is not empty and holds no demo: choose a new or empty folder"):
        write_demo(tmp_path)
    assert own.read_text() == "mine"


def test_the_folder_of_an_earlier_version_without_a_config_goes_on(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (DEMO_FOLDER / "store").mkdir(parents=True)
    assert write_demo() == DEMO_FOLDER / "distill.yaml"


def test_the_config_of_the_demo_is_the_same_before_and_after_it_is_written(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    before = demo_config()
    write_demo()
    assert demo_config() == before
    settings = yaml.safe_load(DEMO_CONFIG.read_text())
    (DEMO_FOLDER / "distill.yaml").write_text(yaml.safe_dump({**settings, "name": "edited"}))
    assert demo_config().name == "edited"
