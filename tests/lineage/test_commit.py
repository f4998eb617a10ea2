"""The commit of the project's own repository, which the report names."""

import shutil
import subprocess

import pytest

from distill_dagster.config.reading import load_config
from distill_dagster.lineage.commit import commit_of
from distill_dagster.lineage.project import Project
from distill_dagster.resources.project import ProjectResource
from testing.projects import write_project

pytestmark = [pytest.mark.processes, pytest.mark.skipif(not shutil.which("git"), reason="no git on this machine")]
NAMED = ("-c", "user.name=a", "-c", "user.email=a@example.org", "-c", "commit.gpgsign=false")


def git(folder, *words) -> str:
    said = subprocess.run(["git", *NAMED, *words], cwd=folder, check=True, capture_output=True, text=True)
    return said.stdout.strip()


@pytest.fixture
def config(tmp_path, monkeypatch):
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    return load_config(write_project(tmp_path))


def test_it_is_the_hash_and_says_if_a_tracked_file_has_changed(config, tmp_path):
    assert commit_of(config) is None, "no repository"
    git(tmp_path, "init", "-q")
    assert commit_of(config) is None, "no commit"
    git(tmp_path, "add", "distill.yaml")
    git(tmp_path, "commit", "-qm", "first")
    git(tmp_path, "tag", "-am", "a tag", "v1")
    head = git(tmp_path, "rev-parse", "HEAD")
    assert commit_of(config) == head
    (tmp_path / "notes").write_text("not tracked")
    assert commit_of(config) == head
    with (tmp_path / "distill.yaml").open("a") as file:
        file.write("# changed\n")
    assert commit_of(config) == f"{head}-dirty"


def test_without_git_or_a_folder_it_is_not_known(config, tmp_path, monkeypatch):
    assert commit_of(config.in_folder(None)) is None
    assert commit_of(config.in_folder(str(tmp_path / "gone"))) is None
    monkeypatch.setenv("PATH", str(tmp_path))
    assert commit_of(config) is None


def test_the_folder_travels_with_the_config_and_shapes_nothing(config, tmp_path):
    assert config.folder == str(tmp_path)
    assert "folder" not in config.model_dump()
    assert ProjectResource.of(config).value.config == config
    changed = Project(config).with_overrides(("student", "training"), {"epochs": 7}).config
    assert (changed.folder, changed.student.training.epochs) == (str(tmp_path), 7)
