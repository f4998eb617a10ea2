"""Fixtures that many tests share: a small project, and one that was run end to end once."""

import gc
import shutil
from pathlib import Path

import dagster as dg
import pytest

from distill_dagster.config import DistillConfig
from distill_dagster.config.reading import load_config
from distill_dagster.lineage.project import Project
from distill_dagster.lineage.stages import SHARD_LIST
from distill_dagster.operations.observing import STORE
from testing.dev_server import run_command
from testing.fault_server import FaultServer
from testing.projects import own_instance, write_project
from testing.waiting import PATIENCE

MADE = "made"  # the group of the tests that share that project


@pytest.hookimpl(tryfirst=True)  # before xdist reads the groups
def pytest_collection_modifyitems(items):
    """Give every test a group, which one process runs: its own mark, else the file that it shares fixtures with.

    The tests of the project that is made once are one group, so that no other process waits for it. This group and
    those that wait for a daemon go first: one that is begun last is waited for.
    """
    for item in items:
        if item.get_closest_marker("xdist_group") is None:
            group = MADE if "made" in item.fixturenames else item.module.__name__
            item.add_marker(pytest.mark.xdist_group(group))
        if "made" in item.fixturenames:
            item.add_marker(pytest.mark.processes)  # a process of its own makes it
            item.add_marker(pytest.mark.timeout(PATIENCE))  # the first one waits for that
    items.sort(key=lambda item: (item.get_closest_marker("daemon") is None, "made" not in item.fixturenames))


def pytest_collection_finish():
    """Spare the garbage collector what the test modules have imported: else it goes through all of it many times."""
    gc.collect()
    gc.freeze()


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
def made(tmp_path_factory):
    """A tiny project that `distill-dagster run` has run end to end, once.

    (project, instance, what the command said). Tests only read it, or ask for `copy_of_made` or `known_copy`.
    """
    path = write_project(tmp_path_factory.mktemp("made"))
    said = run_command("run", "--config", str(path))
    assert said.exit_code in (0, 3), said.output  # 3: the verdict is FAIL, on models of this size
    project = Project(load_config(path))
    with own_instance(project.config) as instance:
        yield project, instance, said


@pytest.fixture
def copy_of_made(made, tmp_path):
    """Call it for a copy of that project, to change: the path of its config, with these changes in it.

    A new instance does not know the copy: a run makes nothing there, and tells the instance what there is.
    """

    def copy(**changes) -> Path:
        path = write_project(tmp_path, **changes)
        shutil.copytree(made[0].config.store, tmp_path / "store", ignore=shutil.ignore_patterns(".dagster"))
        return path

    return copy


@pytest.fixture
def known_copy(copy_of_made, made):
    """Such a copy with an instance that knows what there is, as that of the project does: (config, instance)."""
    config = load_config(copy_of_made())
    shutil.copytree(Path(made[0].config.store) / ".dagster", Path(config.store) / ".dagster")
    with own_instance(config) as instance:
        listed = instance.get_latest_materialization_event(dg.AssetKey(SHARD_LIST)).asset_materialization
        moved = {STORE: str(Path(config.store).resolve())}  # else it is another project of the same names
        instance.report_runless_asset_event(dg.AssetMaterialization(SHARD_LIST, tags=listed.tags, metadata=moved))
        yield config, instance


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
