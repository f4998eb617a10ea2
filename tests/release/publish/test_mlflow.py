"""A release as a version of a registered model: the real client against MLflow's own server."""

import itertools
import socket
import uuid

import pytest

from distill_dagster.config import MlflowPlaceConfig
from distill_dagster.errors import PublishError
from distill_dagster.release.publish.mlflow_registry import PROJECT_TAG, look_at_mlflow
from testing.mlflow_server import MlflowServer
from testing.publishing import PROJECT, publish, publish_elsewhere, publish_until, tree
from testing.wrong_places import said, wrong_place

pytestmark = [pytest.mark.processes, pytest.mark.xdist_group("mlflow")]


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with MlflowServer(tmp_path_factory.mktemp("mlflow")) as value:
        yield value


@pytest.fixture
def client(server):
    from mlflow import MlflowClient

    return MlflowClient(server.url, server.url)


@pytest.fixture
def place(server) -> dict:
    """A registered model of this test alone."""
    return {"uri": server.url, "model": f"support-{uuid.uuid4().hex[:8]}"}


@pytest.fixture
def publish_here(place, tmp_path):
    return lambda released: publish(released.spec(tmp_path / "out", mlflow=place))


@pytest.fixture
def champion(client, place, tmp_path, monkeypatch):
    """The files of the champion, as `mlflow` downloads them by its alias."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", place["uri"])
    targets = (tmp_path / f"download-{number}" for number in itertools.count())

    def download() -> dict[str, bytes]:
        import mlflow

        target = next(targets)
        mlflow.artifacts.download_artifacts(f"models:/{place['model']}@champion", dst_path=str(target))
        return tree(target)

    return download


def versions(client, place) -> list[tuple[str, str]]:
    found = client.search_model_versions(f"name='{place['model']}'")
    return sorted((str(version.version), version.status) for version in found)


def test_the_champion_is_a_ready_version_with_all_files(first, publish_here, champion, client, place):
    result = publish_here(first)
    assert (result.state, result.uploaded, result.revision) == ("published", len(first.contents), "1")
    assert champion() == first.published
    assert versions(client, place) == [("1", "READY")]
    assert result.url == f"{place['uri']}/#/models/{place['model']}/versions/1"


def test_the_same_release_makes_no_second_version(first, publish_here, client, place):
    publish_here(first)
    again = publish_here(first)
    assert (again.state, again.uploaded, again.revision) == ("already there", 0, "1")
    assert versions(client, place) == [("1", "READY")]


def test_a_rollback_moves_the_alias_back(first, second, publish_here, champion, client, place):
    publish_here(first)
    assert publish_here(second).revision == "2"
    assert champion() == second.published
    back = publish_here(first)
    assert (back.state, back.uploaded, back.revision) == ("published", 0, "1")
    assert champion() == first.published
    assert versions(client, place) == [("1", "READY"), ("2", "READY")]


@pytest.mark.parametrize(
    ("method", "number", "sent", "made"),
    [
        ("log_artifact", 4, 3, ["1"]),
        ("create_model_version", 1, 7, ["1"]),
        ("set_registered_model_alias", 1, 7, ["1", "2"]),
    ],
)
def test_a_kill_leaves_the_champion_as_it_was_and_the_next_run_goes_on(
    first, second, publish_here, champion, client, place, tmp_path, method, number, sent, made
):
    publish_here(first)
    spec = second.spec(tmp_path / "out", mlflow=place)
    publish_until(spec, f"mlflow:MlflowClient.{method}", number)
    assert champion() == first.published
    assert [version for version, _ in versions(client, place)] == made
    result = publish_elsewhere(spec)
    assert (result.state, result.uploaded, result.revision) == ("published", len(second.contents) - sent, "2")
    assert champion() == second.published
    assert versions(client, place) == [("1", "READY"), ("2", "READY")]


def test_another_projects_model_is_refused(first, publish_here, client, place):
    client.create_registered_model(place["model"], tags={PROJECT_TAG: "sales"})
    with pytest.raises(PublishError, match="belongs to project sales, and this one is support"):
        publish_here(first)
    with pytest.raises(PublishError, match="belongs to project sales"):
        look_at_mlflow(MlflowPlaceConfig(**place), PROJECT, whole=True)


def test_a_model_of_somebody_else_is_refused(first, publish_here, client, place):
    client.create_registered_model(place["model"])
    run = client.create_run("0").info
    client.create_model_version(place["model"], f"{run.artifact_uri}/theirs", run.run_id)
    client.set_registered_model_alias(place["model"], "champion", "1")
    with pytest.raises(PublishError, match=r"has versions, and no tag distill\.project"):
        look_at_mlflow(MlflowPlaceConfig(**place), PROJECT, whole=True)
    with pytest.raises(PublishError, match=r"has versions, and no tag distill\.project"):
        publish_here(first)
    assert (versions(client, place), client.get_registered_model(place["model"]).tags) == ([("1", "READY")], {})


def test_an_empty_model_becomes_the_projects(first, publish_here, client, place):
    client.create_registered_model(place["model"])
    look_at_mlflow(MlflowPlaceConfig(**place), PROJECT, whole=True)
    assert client.get_registered_model(place["model"]).tags == {}
    publish_here(first)
    assert client.get_registered_model(place["model"]).tags == {PROJECT_TAG: PROJECT}


def test_the_preflight_goes_through_a_proxy(monkeypatch):
    absent = said(404, {"error_code": "RESOURCE_DOES_NOT_EXIST", "message": "no such model"})
    with wrong_place(absent) as proxy:
        monkeypatch.setenv("http_proxy", proxy.url)
        behind = MlflowPlaceConfig(uri="http://mlflow.invalid:5000", model="x")
        found = look_at_mlflow(behind, PROJECT, whole=True)
    assert found == f"{behind.uri} answers; x does not exist, and will be created"
    assert next(path for _, path, _ in proxy.requests) == "http://mlflow.invalid:5000/health"


def test_a_server_that_fails_is_asked_once():
    with wrong_place(said(503, {})) as server:
        failing = MlflowPlaceConfig(uri=server.url, model="x")
        with pytest.raises(PublishError, match=r"/health answers 503 .*; look at `mlflow\.uri`"):
            look_at_mlflow(failing, PROJECT, whole=True)
        assert len(server.requests) == 1


def test_the_preflight_makes_nothing(client, place):
    found = look_at_mlflow(MlflowPlaceConfig(**place), PROJECT, whole=True)
    assert found == f"{place['uri']} answers; {place['model']} does not exist, and will be created"
    assert place["model"] not in [model.name for model in client.search_registered_models()]


def test_a_server_that_is_away_is_found_at_once(place):
    with socket.socket() as bound:  # bound and not listening: a connection is refused
        bound.bind(("127.0.0.1", 0))
        away = MlflowPlaceConfig(uri=f"http://127.0.0.1:{bound.getsockname()[1]}", model=place["model"])
        with pytest.raises(PublishError, match=r"Connection refused.*; look at `mlflow\.uri`"):
            look_at_mlflow(away, PROJECT, whole=True)
