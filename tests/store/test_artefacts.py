"""Publishing: an artefact is complete or absent, made once for a fingerprint, and readable while it is replaced."""

import json
import math
import multiprocessing
import os
import signal
import time

import pytest

from distill_dagster.errors import DataError, NotPublishedError, UserError
from distill_dagster.store.artefacts import MANIFEST, PREVIOUS, Store, check_key
from distill_dagster.store.backend import LocalBackend
from distill_dagster.store.result import Counts, Result


def make_text(text):
    def make(out, work):
        (out / "rows.txt").write_text(text)
        return Result(data_version=text, counts=Counts(rows=len(text)))

    return make


def publish(store, text, fingerprint, shard="s0"):
    return store.publish("raw_dataset", shard, fingerprint=fingerprint, inputs={}, make=make_text(text))


def test_a_published_artefact_is_found_again(tmp_path):
    store = Store(tmp_path)
    published = publish(store, "abc", "f1")
    assert store.get("raw_dataset", "s0") == published
    assert published.file("rows.txt").read_text() == "abc"
    assert published.counts == {"rows": 3}


def test_the_same_fingerprint_is_made_once(tmp_path):
    store = Store(tmp_path)
    publish(store, "first", "f1")
    assert publish(store, "second", "f1").data_version == "first"
    assert publish(store, "second", "f2").data_version == "second"


def test_a_reader_keeps_the_version_it_holds(tmp_path):
    store = Store(tmp_path)
    held = publish(store, "old", "f1")
    publish(store, "new", "f2")
    assert held.file("rows.txt").read_text() == "old"
    publish(store, "newest", "f3")
    assert not held.folder.exists(), "only the version before the current one is kept"


def test_the_version_before_is_kept_with_its_manifest(tmp_path):
    store = Store(tmp_path)
    first = publish(store, "old", "f1")
    assert store.previous("raw_dataset", "s0") is None, "nothing came before the first version"
    second = publish(store, "new", "f2")
    assert store.previous("raw_dataset", "s0") == first
    assert store.previous("raw_dataset", "s0").file("rows.txt").read_text() == "old"
    publish(store, "newest", "f3")
    assert store.previous("raw_dataset", "s0") == second


def test_a_version_before_whose_files_are_gone_does_not_count(tmp_path):
    store = Store(tmp_path)
    first = publish(store, "old", "f1")
    publish(store, "new", "f2")
    first.file("rows.txt").unlink()
    assert store.previous("raw_dataset", "s0") is None
    publish(store, "newer", "f3").file("rows.txt").unlink()
    publish(store, "newest", "f4")
    assert store.previous("raw_dataset", "s0") is None, "f3 was not whole, so it was not kept"


class DyingBackend(LocalBackend):
    """A writer that is killed just before it replaces the manifest."""

    def replace(self, key, name, text):
        if name == MANIFEST:
            os.kill(os.getpid(), signal.SIGKILL)
        super().replace(key, name, text)


@pytest.mark.processes
def test_a_writer_killed_between_the_two_manifests_leaves_the_old_version_current(tmp_path):
    store = Store(tmp_path)
    publish(store, "oldest", "f0")
    old = publish(store, "old", "f1")
    killed = Store(tmp_path, DyingBackend(tmp_path))
    child = multiprocessing.get_context("fork").Process(target=publish, args=(killed, "new", "f2"))
    child.start()
    child.join()
    assert child.exitcode == -signal.SIGKILL
    assert (tmp_path / "raw_dataset" / "s0" / "previous.json").read_text().count(old.version) == 1
    assert store.get("raw_dataset", "s0") == old
    assert store.previous("raw_dataset", "s0") is None, "the current version is not its own predecessor"
    new = publish(store, "new", "f2")
    assert (store.get("raw_dataset", "s0"), store.previous("raw_dataset", "s0")) == (new, old)
    kept = {path.name for path in (tmp_path / "raw_dataset" / "s0" / "versions").iterdir()}
    assert kept == {new.version, old.version}, "the version that the killed writer left is removed"


def test_a_shard_that_is_being_written_is_not_removed(tmp_path):
    store = Store(tmp_path)
    publish(store, "abc", "f1")
    with store.backend.writing("raw_dataset/s0"):
        assert not store.remove("raw_dataset", "s0")
    assert store.shards("raw_dataset") == ["s0"]
    assert store.remove("raw_dataset", "s0")
    assert store.shards("raw_dataset") == []


def test_a_maker_that_fails_changes_nothing(tmp_path):
    store = Store(tmp_path)
    publish(store, "good", "f1")

    def fail(out, work):
        (out / "rows.txt").write_text("half")
        raise DataError("no")

    with pytest.raises(DataError):
        store.publish("raw_dataset", "s0", fingerprint="f2", inputs={}, make=fail)
    assert store.get("raw_dataset", "s0").file("rows.txt").read_text() == "good"
    assert not list(tmp_path.glob("*/*/.scratch-*"))


def publish_slowly(root, marker):
    def make(out, work):
        (out / "rows.txt").write_text("half")
        marker.write_text("here")
        time.sleep(60)
        return Result(data_version="never", counts=Counts())

    Store(root).publish("raw_dataset", "s0", fingerprint="f2", inputs={}, make=make)


@pytest.mark.processes
def test_a_killed_writer_leaves_the_old_version_and_no_lock(tmp_path):
    store, marker = Store(tmp_path / "store"), tmp_path / "marker"
    publish(store, "good", "f1")
    child = multiprocessing.get_context("fork").Process(target=publish_slowly, args=(store.root, marker))
    child.start()
    while not marker.exists():
        time.sleep(0.01)
    os.kill(child.pid, signal.SIGKILL)
    child.join()
    assert store.get("raw_dataset", "s0").data_version == "good"
    assert publish(store, "next", "f2").data_version == "next"
    assert not list(store.root.glob("*/*/.scratch-*")), "the next writer removes what the dead one left"


def test_resumable_state_is_kept_for_its_fingerprint_until_published(tmp_path):
    store, seen = Store(tmp_path), []

    def make(out, work):
        seen.append((work / "step").exists())
        work.mkdir(parents=True, exist_ok=True)
        (work / "step").write_text("1")
        if len(seen) < 3:
            raise DataError("interrupted")
        return Result(data_version="v", counts=Counts())

    for fingerprint in ("f" * 12, "f" * 12):
        with pytest.raises(DataError):
            store.publish("student", None, fingerprint=fingerprint, inputs={}, make=make)
    store.publish("student", None, fingerprint="e" * 12, inputs={}, make=make)
    assert seen == [False, True, False]
    assert not (tmp_path / "student" / "work").exists()


def test_an_artefact_with_a_missing_file_does_not_count(tmp_path):
    store = Store(tmp_path)
    publish(store, "abc", "f1").file("rows.txt").unlink()
    assert store.find("raw_dataset", "s0") is None
    assert publish(store, "abc", "f1").file("rows.txt").exists()


def test_an_artefact_that_was_never_made_is_named(tmp_path):
    with pytest.raises(NotPublishedError, match=r"raw_dataset\[s9\].*materialize it first"):
        Store(tmp_path).get("raw_dataset", "s9")


def test_a_torn_manifest_is_named(tmp_path):
    store = Store(tmp_path)
    publish(store, "abc", "f1")
    (tmp_path / "raw_dataset" / "s0" / "manifest.json").write_text("{")
    with pytest.raises(DataError, match=r"manifest\.json is not JSON"):
        store.find("raw_dataset", "s0")


@pytest.mark.parametrize(
    ("changes", "why"),
    [({"files_at": None}, "the keys of a manifest"), ({"complete": "no"}, "complete has the wrong type")],
)
def test_a_manifest_with_a_key_or_a_value_that_no_store_wrote_is_refused(changes, why, tmp_path):
    store = Store(tmp_path)
    publish(store, "abc", "f1")
    path = tmp_path / "raw_dataset" / "s0" / "manifest.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))
    with pytest.raises(DataError, match=why):
        store.find("raw_dataset", "s0")


def test_a_damaged_byte_within_a_text_of_a_manifest_is_named(tmp_path):
    store = Store(tmp_path)
    publish(store, "abc", "f1")
    path = tmp_path / "raw_dataset" / "s0" / "manifest.json"
    path.write_bytes(path.read_bytes().replace(b'"fingerprint": "f1', b'"fingerprint": "f\xff', 1))
    with pytest.raises(DataError, match=r"manifest\.json is damaged .* materialize raw_dataset again"):
        store.find("raw_dataset", "s0")


def test_files_get_the_mode_of_the_umask(tmp_path):
    def make(out, work):
        (out / "model.safetensors").write_bytes(b"x")
        (out / "model.safetensors").chmod(0o600)
        return Result(data_version="v", counts=Counts())

    published = Store(tmp_path).publish("student", None, fingerprint="f", inputs={}, make=make)
    umask = os.umask(0)
    os.umask(umask)
    assert published.file("model.safetensors").stat().st_mode & 0o777 == 0o666 & ~umask


@pytest.mark.parametrize("key", ["", "../x", "a/b", "a..b", ".hidden", "x" * 101, "a\nb"])
def test_a_name_that_could_leave_the_store_is_refused(key):
    with pytest.raises(UserError):
        check_key(key)


def test_a_manifest_in_which_an_older_version_wrote_nan_is_read_and_kept_as_json(tmp_path):
    store = Store(tmp_path)
    publish(store, "abc", "f1")
    path = store.folder("raw_dataset", "s0") / MANIFEST
    path.write_text(path.read_text().replace('"facts": {}', '"facts": {"p50": NaN, "all": [NaN, -Infinity]}'))
    assert store.get("raw_dataset", "s0").facts == {"p50": None, "all": [None, None]}
    publish(store, "def", "f2")
    for name in (MANIFEST, PREVIOUS):
        json.loads((path.parent / name).read_text(), parse_constant=pytest.fail)


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_result_has_no_number_that_json_lacks(value):
    class Timed(Result[Counts]):
        seconds: float

    with pytest.raises(ValueError, match="finite"):
        Timed(data_version="v", counts=Counts(), seconds=value)
