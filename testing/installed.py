"""The wheel as a team installs it: in an environment of its own, beside their packages, without the checkout.

The environment has its own interpreter and site-packages with the wheel in it. The other dependencies come from the
environment of the tests, as a plain folder on the path, so that its editable install of the checkout stays out.
"""

import os
import shutil
import subprocess
import sys
import sysconfig
import venv
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
SOURCES = ("assets", "benchmarks", "distill_dagster", "operations", "resources", "testing", "tests")
FILES = ("LICENSE", "README.md", "pyproject.toml")
DG = ("-W", "ignore", "-m", "dagster_dg_cli.cli")
HIDDEN = ("PYTHONPATH", "DAGSTER_HOME", "DISTILL_CONFIG")  # variables of this process that would lead elsewhere


def copy_sources(folder: Path) -> Path:
    """Copy the checkout, which a build would litter; returns the copy's folder."""
    sources = folder / "sources"
    for name in SOURCES:
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / name, sources / name, symlinks=True, ignore=ignored)
    for name in FILES:
        shutil.copy(ROOT / name, sources)
    return sources


def build_sdist(sources: Path, folder: Path) -> Path:
    """Build the source distribution; returns its archive."""
    code = f"from setuptools.build_meta import build_sdist; build_sdist({str(folder)!r})"
    done = subprocess.run([sys.executable, "-c", code], cwd=sources, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    (archive,) = folder.glob("*.tar.gz")
    return archive


def build_wheel(sources: Path, folder: Path) -> Path:
    """Build the wheel from a folder or an archive of sources."""
    _pip("wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", folder, sources)
    (wheel,) = folder.glob("*.whl")
    return wheel


@dataclass(frozen=True)
class Installed:
    """An environment with the wheel in it."""

    folder: Path

    @classmethod
    def make(cls, folder: Path, wheel: Path) -> "Installed":
        """Create the environment."""
        venv.create(folder, with_pip=False, symlinks=True)
        installed = cls(folder)
        _pip("--python", installed.python, "install", "--no-deps", wheel)
        (installed.site / "dependencies.pth").write_text(sysconfig.get_paths()["purelib"] + "\n")
        return installed

    @property
    def python(self) -> Path:
        """Its interpreter."""
        return self.folder / "bin" / "python"

    @property
    def site(self) -> Path:
        """Its site-packages."""
        return next((self.folder / "lib").glob("python*/site-packages"))

    def run(self, *arguments: object, cwd: Path, **variables: object) -> "subprocess.CompletedProcess[str]":
        """Run its interpreter with these arguments and environment variables; the caller reads the exit code."""
        environment = {key: value for key, value in os.environ.items() if key not in HIDDEN}
        return subprocess.run(
            [self.python, *map(str, arguments)],
            cwd=cwd,
            env={**environment, **{key: str(value) for key, value in variables.items()}},
            capture_output=True,
            text=True,
        )


def _pip(*arguments: object) -> None:
    quiet = ["--quiet", "--disable-pip-version-check", "--no-index"]
    command = [sys.executable, "-m", "pip", *map(str, arguments), *quiet]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
