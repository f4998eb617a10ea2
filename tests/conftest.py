"""Fixtures that many tests share: a small project, and one that was run end to end once."""

import json
import shutil
from dataclasses import asdict
from pathlib import Path

import dagster as dg
import pytest
from filelock import FileLock

from distill_dagster.config import DistillConfig
from distill_dagster.config.reading import load_config
from distill_dagster.lineage.project import Project
from testing.dev_server import Said, run_command
from testing.fault_server import FaultServer
from testing.projects import write_project


@pytest.hookimpl(tryfirst=True)  # before xdist reads the groups
def pytest_collection_modifyitems(items):
    """Give every test a group, which one process runs: its own mark, else the file that it shares fixtures with.

    Groups that wait for a daemon go first: one that is begun last is waited for.
    """
    for item in items:
        if item.get_closest_marker("xdist_group") is None:
            item.add_marker(pytest.mark.xdist_group(item.module.__name__))
    items.sort(key=lambda item: item.get_closest_marker("daemon") is None)


@pytest.fixture
def tiny_config(tmp_path) -> DistillConfig:
    """A tiny project that nothing was made of yet."""
    return load_config(write_project(tmp_path))


@pytest.fixture
def instance():
    """A Dagster instance that is gone after the test."""
    with dg.DagsterInstance.ephemeral() as value:
        yield value


@pytest.fixture(scope="session")
def made(tmp_path_factory, worker_id):
    """A tiny project that `distill-dagster run` has run end to end, once for all processes of the tests.

    (project, instance, what the command said). Tests only read it, or ask for `copy_of_made`.
    """
    base = tmp_path_factory.getbasetemp()
    root = (base if worker_id == "master" else base.parent) / "made"
    root.mkdir(exist_ok=True)
    told = root / "said.json"
    with FileLock(root / "lock"):
        if not told.exists():
            said = run_command("run", "--config", str(write_project(root)))
            assert said.exit_code in (0, 3), said.output  # 3: the verdict is FAIL, on models of this size
            told.write_text(json.dumps(asdict(said)))
    project = Project(load_config(root / "distill.yaml"))
    with dg.DagsterInstance.from_config(str(Path(project.config.store) / ".dagster")) as value:
        yield project, value, Said(**json.loads(told.read_text()))


@pytest.fixture
def copy_of_made(made, tmp_path):
    """Call it for a copy of that project, to change: the path of its config, with these changes in it.

    A run of it on a new instance makes nothing, and tells the instance what there is.
    """

    def copy(**changes) -> Path:
        path = write_project(tmp_path, **changes)
        shutil.copytree(made[0].config.store, tmp_path / "store", ignore=shutil.ignore_patterns(".dagster"))
        return path

    return copy


@pytest.fixture(scope="session")
def fault_server():
    """The server that fails as its script says, in a process of its own."""
    with FaultServer() as value:
        yield value


@pytest.fixture
def server(fault_server):
    """The same one, with the usual script and nothing counted."""
    fault_server.script()
    return fault_server
