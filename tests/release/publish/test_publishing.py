"""The worker that publishes: every place gets the release, and an error names those that did not."""

import json

import pytest

from distill_dagster.errors import DataError, PublishError
from distill_dagster.release.changes import roll_back
from distill_dagster.release.publish.publishing import NOTHING, publish_student
from distill_dagster.store import files
from testing.hub_server import HubServer
from testing.publishing import tree
from testing.releases import Students


def test_nothing_is_published_before_a_student_is_released(first, tmp_path):
    spec = first.spec(tmp_path / "out", folder={"path": str(tmp_path / "place")})
    result = publish_student(spec.model_copy(update={"student": None, "files": {}}), "cpu")
    assert (result.data_version, result.places, result.release) == (NOTHING, [], None)
    assert not (tmp_path / "place").exists()


def test_a_file_that_changed_since_the_release_is_not_published(first, tmp_path):
    spec = first.spec(tmp_path / "out", folder={"path": str(tmp_path / "place")})
    (first.folder / "NOTICE").write_text("another")
    with pytest.raises(DataError, match="NOTICE is not the file that was released"):
        publish_student(spec, "cpu")
    assert not (tmp_path / "place").exists()


def test_a_place_that_fails_keeps_no_other_from_the_release(first, tmp_path, monkeypatch):
    monkeypatch.delenv("HF_TOKEN", raising=False)
    spec = first.spec(tmp_path / "out", folder={"path": str(tmp_path / "place")}, hub={"repo": "acme/x"})
    with pytest.raises(PublishError, match=r"^hub: acme/x: the token is expected .* \(published: folder\)$"):
        publish_student(spec, "cpu")
    assert tree(tmp_path / "place/current") == first.published


def test_a_folder_that_cannot_be_read_keeps_no_other_from_the_release(first, tmp_path, monkeypatch):
    with HubServer() as hub:
        monkeypatch.setenv("HF_TOKEN", hub.token)
        monkeypatch.setattr("huggingface_hub.constants.HF_HUB_DISABLE_XET", True)
        there = {"repo": "acme/x", "endpoint": hub.url}
        spec = first.spec(tmp_path / "out", folder={"path": str(tmp_path / ("x" * 300))}, hub=there)
        with pytest.raises(PublishError, match=r"^folder: .*File name too long.* \(published: hub\)$"):
            publish_student(spec, "cpu")
        assert hub.files("acme/x") == first.published


def test_the_artefact_says_where_the_release_is(first, tmp_path):
    spec = first.spec(tmp_path / "out", folder={"path": str(tmp_path / "place")})
    result = publish_student(spec, "cpu")
    document = json.loads((tmp_path / "out" / files.PUBLISHED_FILE).read_text())
    assert document["student"] == first.student
    assert [place["url"] for place in document["places"]] == [str(tmp_path / "place/current")]
    assert publish_student(spec, "cpu").data_version == result.data_version


def test_a_rollback_publishes_the_earlier_student_again(tmp_path):
    students = Students(tmp_path)
    (tmp_path / "out").mkdir()

    def published() -> str:
        """Publish what is released, and read it where it is published."""
        publish_student(students.published_at(tmp_path / "place", tmp_path / "out"), "cpu")
        return (tmp_path / "place/current/weights.txt").read_text()

    students.judge("a", wrong=100)
    assert published() == "a"
    students.judge("b", wrong=400)  # refused
    assert published() == "a"
    students.judge("c", wrong=10)
    assert published() == "c"
    students.store.revise("released_student", None, lambda current, out: roll_back(current.folder, out, "a test"))
    assert published() == "a"
    assert students.outcomes == ["promoted a", "refused b", "promoted c", "rolled back c"]
