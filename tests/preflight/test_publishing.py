"""The places where the release is published, before anything is made."""

import pytest

from distill_dagster.lineage.published import PUBLISHED
from testing.hub_server import HubServer
from testing.projects import write_project
from tests.preflight.looks import errors, look_at

FOLDER = ("place", "release.publish.folder")
HUB = ("place", "release.publish.hub")


def with_places(tmp_path, **places):
    return write_project(tmp_path, release={"publish": places})


@pytest.mark.parametrize("whole", [True, False])
def test_a_folder_that_cannot_be_written_is_named(tmp_path, whole):
    path = with_places(tmp_path, folder={"path": "models"})
    (tmp_path / "models").write_text("a file")
    assert "models cannot be written" in errors(path, whole=whole)[FOLDER]
    (tmp_path / "models").unlink()
    assert FOLDER not in errors(path, whole=whole)


def test_only_a_look_that_writes_makes_the_folder(tmp_path):
    path = with_places(tmp_path, folder={"path": "models"})
    look_at(path, whole=False)
    assert not (tmp_path / "models").exists()
    look_at(path)
    assert list((tmp_path / "models").iterdir()) == []


@pytest.mark.parametrize("whole", [True, False])
def test_a_token_that_is_not_set_is_found_without_a_request(tmp_path, monkeypatch, whole):
    monkeypatch.delenv("HF_TOKEN", raising=False)
    path = with_places(tmp_path, hub={"repo": "acme/x"})
    assert "expected in the environment variable HF_TOKEN, which is not set" in errors(path, whole=whole)[HUB]


def test_only_the_whole_look_asks_the_hub(tmp_path, monkeypatch):
    with HubServer() as hub:
        monkeypatch.setenv("HF_TOKEN", hub.token)
        path = with_places(tmp_path, hub={"repo": "acme/x", "endpoint": hub.url})
        (found,) = (one for one in look_at(path, whole=False) if one.what == "place")
        assert (found.state, hub.requests) == ("not checked", [])
        (found,) = (one for one in look_at(path) if one.what == "place")
        assert (found.state, found.found) == ("ok", "acme/x does not exist, and will be created")
        monkeypatch.setenv("HF_TOKEN", "another-token-of-somebody")
        said = errors(path)[HUB]
        assert "does not accept the token in HF_TOKEN" in said
        assert "another-token" not in said


def test_a_missing_package_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name, found=None: None if name == "mlflow" else object())
    path = with_places(tmp_path, mlflow={"uri": "http://127.0.0.1:9", "model": "x"})
    said = {(one.what, one.of): one.found for one in look_at(path, whole=False) if one.state == "error"}
    assert "install `distill-dagster[mlflow]`" in said["place", "release.publish.mlflow"]


def test_a_run_that_ends_before_needs_no_place(tmp_path, monkeypatch):
    monkeypatch.delenv("HF_TOKEN", raising=False)
    path = with_places(tmp_path, hub={"repo": "acme/x"})
    assert HUB not in errors(path, whole=False, until="released_student")
    assert HUB in errors(path, whole=False, until=PUBLISHED)
