"""One cluster for all tests of this folder, which are one group; each of them finds three workers alive."""

import importlib.util
import sys

import pytest

from distill_dagster.resources.compute.ray.cluster import disconnect
from testing.ray_cluster import RayCluster

GROUP = "ray"


def pytest_collection_modifyitems(items):
    for item in items:
        if "cluster" in item.fixturenames:
            item.add_marker(pytest.mark.processes)
            item.add_marker(pytest.mark.xdist_group(GROUP))


@pytest.fixture(scope="session")
def one_cluster(tmp_path_factory):
    """The cluster; this process is a driver of it. Ray reads its settings when it is imported."""
    if importlib.util.find_spec("ray") is None:
        pytest.skip("needs `distill-dagster[ray]`")
    assert "ray" not in sys.modules
    cluster = RayCluster(tmp_path_factory.mktemp("ray"))
    with pytest.MonkeyPatch.context() as environment:
        for name, value in cluster.environment.items():
            environment.setenv(name, value)
        with cluster:
            yield cluster
            disconnect()


@pytest.fixture
def cluster(one_cluster):
    """The same one, with three workers."""
    one_cluster.add_workers(3)
    return one_cluster
