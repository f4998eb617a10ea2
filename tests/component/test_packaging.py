"""The wheel beside a team's own packages: it takes no name but its own, and works without the checkout."""

import zipfile
from pathlib import Path

import pytest

from testing.installed import build_sdist, build_wheel, copy_sources

pytestmark = [pytest.mark.processes, pytest.mark.xdist_group("installed")]

IMPORTS = """
import importlib.util
import sys

import assets.mine
import distill_dagster.assets.stage_asset
import distill_dagster.operations.instance
import distill_dagster.resources.compute.subprocess

print(assets.__file__, distill_dagster.assets.__file__)
print([name for name in {names!r} if importlib.util.find_spec(name)])
"""
LOADABLE = """
import dagster as dg
from distill_dagster.definitions import defs

dg.Definitions.validate_loadable(defs())
print(defs().executor.name)
"""


def names_in(wheel: Path) -> list[str]:
    with zipfile.ZipFile(wheel) as archive:
        return sorted(archive.namelist())


def test_the_wheel_holds_one_package_and_its_data(wheel):
    names = names_in(wheel)
    assert {name.split("/")[0].removesuffix(".dist-info").partition("-")[0] for name in names} == {"distill_dagster"}
    expected = (
        "assets/stage_asset.py",
        "resources/compute/resource.py",
        "operations/runner.py",
        "assets/views/tables.py",
    )
    data = ("operations/dagster.yaml", "demo/demo.yaml", "report/report.html.jinja", "report/report.md.jinja")
    assert {f"distill_dagster/{name}" for name in (*expected, *data)} <= set(names)


def test_an_sdist_gives_the_same_wheel(wheel, tmp_path):
    archive = build_sdist(copy_sources(tmp_path), tmp_path)
    assert names_in(build_wheel(archive, tmp_path)) == names_in(wheel)


def test_a_package_called_assets_stays_the_teams_own(installed, tmp_path):
    own = installed.site / "assets"
    own.mkdir()
    (own / "__init__.py").touch()
    (own / "mine.py").write_text("rows = 3\n")
    code = IMPORTS.format(names=["resources", "operations", "tests", "testing", "benchmarks"])
    done = installed.run("-c", code, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    paths, others = done.stdout.splitlines()
    assert paths.split() == [str(own / "__init__.py"), str(installed.site / "distill_dagster/assets/__init__.py")]
    assert others == "[]"


def test_the_code_location_loads_from_any_folder(installed, tmp_path):
    done = installed.run("-c", LOADABLE, cwd=tmp_path)
    assert (done.returncode, done.stdout.strip()) == (0, "in_process"), done.stderr
    validate = ("-m", "dagster", "definitions", "validate", "-m", "distill_dagster.definitions")
    done = installed.run(*validate, cwd=tmp_path, DAGSTER_HOME=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert [path.name for path in tmp_path.iterdir() if path.name == ".demo"] == []


def test_the_command_starts_projects_and_plans_them(installed, tmp_path):
    command = installed.folder / "bin" / "distill-dagster"
    assert "[FOLDER]" in installed.run(command, "demo", "--help", cwd=tmp_path, COLUMNS=120).stdout
    assert installed.run(command, "init", "mine", cwd=tmp_path).returncode == 0
    planned = installed.run(command, "plan", "--json", "--config", "mine/distill.yaml", cwd=tmp_path)
    assert planned.returncode == 0, planned.stderr
    assert "teacher_outputs" in planned.stdout
    status = installed.run(command, "status", "--config", "mine/distill.yaml", cwd=tmp_path)
    assert status.returncode == 0, status.stderr
    assert "run_retries" in (tmp_path / "mine/store/.dagster/dagster.yaml").read_text()
