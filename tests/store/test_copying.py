"""A store in use is copied: the copy waits for no writer, and one that was replaced meanwhile is copied again."""

import pytest

from distill_dagster.errors import DataError
from distill_dagster.store.artefacts import Store
from distill_dagster.store.backend import LocalBackend
from distill_dagster.store.copying import copy_artefacts
from distill_dagster.teachers.responses import Responses
from distill_dagster.teachers.shelf import LocalShelf
from testing.clearing import answer, publish, store_replies, text_of

A = "raw_dataset/a"


def copy(source: Store, target: Store) -> int:
    return copy_artefacts(source, target, lambda key, is_new: None)


def test_a_copy_waits_for_no_writer(tmp_path):
    source, target = Store(tmp_path / "source"), Store(tmp_path / "target")
    publish(source, A, "1")
    with source.backend.writing(A):
        assert copy(source, target) == 1
    assert text_of(target.get("raw_dataset", "a")) == "1"


class Interrupted(LocalBackend):
    """Before its first copy arrives, something happens."""

    happens = staticmethod(lambda: None)

    def adopt(self, key, version, folder, files):
        happens, Interrupted.happens = Interrupted.happens, staticmethod(lambda: None)
        happens()
        super().adopt(key, version, folder, files)


def test_an_artefact_that_is_published_during_its_copy_is_copied_in_its_new_version(tmp_path):
    source, target = Store(tmp_path / "source"), Store(tmp_path / "target", Interrupted(tmp_path / "target"))
    publish(source, A, "1")
    Interrupted.happens = staticmethod(lambda: [publish(source, A, text) for text in "23"])
    assert copy(source, target) == 1
    assert text_of(target.get("raw_dataset", "a")) == "3"
    assert text_of(target.previous("raw_dataset", "a")) == "2"


def test_a_file_that_is_gone_without_a_new_version_is_an_error(tmp_path):
    source, target = Store(tmp_path / "source"), Store(tmp_path / "target", Interrupted(tmp_path / "target"))
    lost = publish(source, A, "1").file("a.txt")
    Interrupted.happens = staticmethod(lost.unlink)
    with pytest.raises((DataError, FileNotFoundError)):
        copy(source, target)
    assert target.find("raw_dataset", "a") is None


@pytest.mark.parametrize("sealed_at", [1, 2])
def test_replies_that_move_from_a_journal_to_a_segment_during_the_copy_are_in_it(tmp_path, monkeypatch, sealed_at):
    source, target = Responses(tmp_path / "source"), Responses(tmp_path / "target")
    store_replies(source, "one", [answer(1)])
    with LocalShelf(tmp_path / "source").journal("two") as log:
        log.append(answer(2)._asdict())
    own, calls = LocalShelf.adopt, iter(range(1, 9))

    def adopt(*arguments):
        if next(calls) == sealed_at:
            store_replies(source, "two", [answer(3)])  # as the run that makes the shard ends
        return own(*arguments)

    monkeypatch.setattr(LocalShelf, "adopt", adopt)
    source.copy_to(target)
    found = Responses(tmp_path / "target").find(answer(n).request_hash for n in (1, 2, 3))
    assert found.keys() >= {answer(n).request_hash for n in (1, 2)}
    assert Responses(tmp_path / "target").spent() == 0.5 * len(found)
