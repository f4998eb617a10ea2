"""The installed wheel, and a Dagster project of a team's own that uses it."""

from pathlib import Path

import pytest

from testing.installed import DG, Installed, build_wheel, copy_sources

PYPROJECT = """\
[project]
name = "acme"
version = "0.1.0"

[tool.dg]
directory_type = "project"

[tool.dg.project]
root_module = "acme"
"""
DEFINITIONS = """\
from pathlib import Path

import dagster as dg


@dg.definitions
def defs():
    return dg.load_from_defs_folder(path_within_project=Path(__file__).parent)
"""


@pytest.fixture(scope="session")
def wheel(tmp_path_factory) -> Path:
    """The wheel of this checkout."""
    folder = tmp_path_factory.mktemp("wheel")
    return build_wheel(copy_sources(folder), folder)


@pytest.fixture(scope="session")
def installed(tmp_path_factory, wheel) -> Installed:
    """An environment with that wheel."""
    return Installed.make(tmp_path_factory.mktemp("environment"), wheel)


class DgProject:
    """A project that `dg` knows, with a package `acme` of its own."""

    def __init__(self, root: Path, installed: Installed) -> None:
        self.root, self.installed = root, installed
        self.defs, self.home = root / "src" / "acme" / "defs", root / "home"
        for folder in (self.defs, self.home):
            folder.mkdir(parents=True)
        (root / "pyproject.toml").write_text(PYPROJECT)
        (self.defs.parent / "definitions.py").write_text(DEFINITIONS)
        for package in (self.defs.parent, self.defs):
            (package / "__init__.py").touch()
        (self.home / "dagster.yaml").write_text("telemetry: {enabled: false}\n")

    def run(self, *arguments: object, **variables: object) -> tuple[int, str]:
        """Run the environment's Python in the project; (exit code, standard output and error)."""
        known = {"PYTHONPATH": self.root / "src", "DAGSTER_HOME": self.home, "COLUMNS": "200"}
        done = self.installed.run(*arguments, cwd=self.root, **(known | variables))
        return done.returncode, done.stdout + done.stderr

    def dg(self, *arguments: object, **variables: object) -> str:
        """Run a `dg` command that has to succeed; returns what it said."""
        code, said = self.run(*DG, *arguments, **variables)
        assert code == 0, said
        return said

    def write(self, path: str, text: str) -> Path:
        """Write a file below the project's `defs` folder."""
        file = self.defs / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        return file


@pytest.fixture
def dg_project(tmp_path, installed) -> DgProject:
    """A new project without definitions."""
    return DgProject(tmp_path / "acme", installed)
