"""`store/student`: leads to the published version, moves at once, and touches nothing of somebody else's."""

import errno
import os
from pathlib import Path

import pytest

from distill_dagster.lineage.student import link_student, snippet, student_path
from distill_dagster.models.pinning import pin_folder
from distill_dagster.store.artefacts import Store
from distill_dagster.store.manifest import Manifest
from distill_dagster.store.result import Counts, Result
from testing.models_tiny import write_model


def publish(store: Store, number: int) -> Manifest:
    def make(out: Path, work: Path) -> Result:
        (out / "model").mkdir()
        (out / "model/weights").write_text(str(number))
        return Result(data_version=f"v{number}", counts=Counts())

    return store.publish("student_checkpoint", None, fingerprint=f"f{number}" * 8, inputs={}, make=make)


def test_the_link_follows_each_publication_and_survives_a_move(tmp_path):
    store = Store(tmp_path / "store")
    assert student_path(store) is None
    for number in range(4):
        link = link_student(store, publish(store, number))
        assert (link, (link / "weights").read_text()) == (store.root / "student", str(number))
        assert student_path(store) == link
    versions = store.folder("student_checkpoint") / "versions"
    assert len(list(versions.iterdir())) == 2, "older versions are deleted as before"
    assert [path.name for path in store.root.iterdir() if path.name.startswith(".")] == []
    store.root.rename(tmp_path / "moved")
    assert (tmp_path / "moved/student/weights").read_text() == "3"


def test_a_link_that_an_older_version_left_is_no_path_to_the_student(tmp_path):
    store = Store(tmp_path)
    link_student(store, publish(store, 0))
    current = publish(store, 1)
    assert student_path(store) == current.file("model")
    link_student(store, current)
    assert student_path(store) == tmp_path / "student"


def test_a_link_to_nowhere_is_replaced(tmp_path):
    store = Store(tmp_path)
    (tmp_path / "student").symlink_to("gone")
    link = link_student(store, publish(store, 0))
    assert (link / "weights").read_text() == "0"


@pytest.mark.parametrize("own", ["file", "folder"])
def test_what_somebody_else_put_there_is_left_alone(tmp_path, own):
    store, place = Store(tmp_path), tmp_path / "student"
    manifest = publish(store, 0)
    place.write_text("mine") if own == "file" else (place / "mine").mkdir(parents=True)
    assert link_student(store, manifest) == student_path(store) == manifest.file("model")
    assert place.read_text() == "mine" if own == "file" else (place / "mine").is_dir()


def test_without_symbolic_links_the_path_is_that_of_the_version(tmp_path, monkeypatch):
    def refuse(*_: object, **__: object) -> None:
        raise OSError(errno.EPERM, os.strerror(errno.EPERM))

    store = Store(tmp_path)
    manifest = publish(store, 0)
    monkeypatch.setattr(Path, "symlink_to", refuse)
    assert link_student(store, manifest) == student_path(store) == manifest.file("model")
    assert not (tmp_path / "student").is_symlink()


def test_a_model_that_is_named_by_the_link_is_pinned_to_its_version(tmp_path):
    ref = write_model(tmp_path / "versions/a/model")
    (tmp_path / "student").symlink_to("versions/a/model")
    pinned = pin_folder(tmp_path / "student", name="student")
    assert (pinned.path, pinned.revision) == (ref.path, ref.revision)


def test_the_snippet_is_three_lines_of_python(tmp_path):
    lines = snippet(tmp_path / "it's" / "student")
    assert len(lines.splitlines()) == 3
    compile(lines, "snippet", "exec")
