"""One stand-in for a cluster for all tests that need one; each of them finds it empty, with its usual script."""

import importlib.util
import shutil
from pathlib import Path

import pytest

from testing.api_project import write_api_project
from testing.k8s_api import K8sApi, on_k8s

GROUP = "k8s"


def pytest_collection_modifyitems(items):
    for item in items:
        if "k8s" in item.fixturenames:
            item.add_marker(pytest.mark.processes)
            item.add_marker(pytest.mark.xdist_group(GROUP))


@pytest.fixture(scope="session")
def one_cluster(tmp_path_factory):
    """The cluster, which this process finds by KUBECONFIG."""
    if importlib.util.find_spec("dagster_k8s") is None:
        pytest.skip("needs `distill-dagster[k8s]`")
    with K8sApi(tmp_path_factory.mktemp("k8s")) as cluster, pytest.MonkeyPatch.context() as environment:
        environment.setenv("KUBECONFIG", str(cluster.kubeconfig))
        yield cluster


@pytest.fixture
def k8s(one_cluster):
    """The same one, in which no pod of another test is left."""
    for name in one_cluster.alive():
        one_cluster.do("remove", name)
    one_cluster.script()
    return one_cluster


@pytest.fixture
def ready(unanswered, k8s, server, tmp_path):
    """Call it for the path of a copy whose workers run in pods, with these settings of `compute.k8s`."""

    def copy(endpoint=None, **settings) -> Path:
        shutil.copytree(unanswered, tmp_path / "project", dirs_exist_ok=True)
        compute = on_k8s(tmp_path / "project", **settings)
        return write_api_project(tmp_path / "project", server, shards=2, endpoint=endpoint or {}, compute=compute)

    return copy
