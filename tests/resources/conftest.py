"""What the tests of Ray and of Kubernetes begin with."""

import dagster as dg
import pytest

from distill_dagster.config.reading import load_config
from testing.api_project import write_api_project
from testing.projects import run_project


@pytest.fixture(scope="session")
def unanswered(tmp_path_factory, fault_server):
    """A project that lacks only the answers to two shards; nothing of it ran on a cluster."""
    folder = tmp_path_factory.mktemp("unanswered")
    with dg.DagsterInstance.ephemeral() as instance:
        run_project(load_config(write_api_project(folder, fault_server, shards=2)), instance, "teacher_model")
    return folder
