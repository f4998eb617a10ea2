"""A store in a bucket: what is published is found by every machine, whole, and copied there once."""

import json
import shutil
from datetime import datetime, timedelta

import pytest

from distill_dagster.errors import DataError
from distill_dagster.store.backend import VERSIONS
from distill_dagster.store.objects.copies import GoneError
from distill_dagster.store.objects.lease import leased
from distill_dagster.store.objects.sweep import unreachable
from distill_dagster.store.places import open_store
from distill_dagster.store.result import Counts, Result
from testing.store_writers import ASSET, NAMES, publish, text_of, write


@pytest.fixture
def machine(url, tmp_path):
    """Call it for the store as a machine of this name sees it."""
    return lambda name="here": open_store(url, tmp_path / name)


def test_what_one_machine_publishes_another_reads(machine):
    publish(machine(), "s0", "old")
    manifest = publish(machine(), "s0", "new")
    there = machine("there")
    found = there.get(ASSET, "s0")
    assert found == manifest
    assert not found.place_of("a.txt").exists(), "nothing is copied before it is read"
    assert text_of(found) == "new"
    assert there.previous(ASSET, "s0").data_version == "old"
    assert (there.shards(ASSET), there.find_all(ASSET)) == (["s0"], {"s0": manifest})
    assert there.find(ASSET, "s1") is None


def test_a_file_is_fetched_once_and_again_after_its_copy_is_deleted(machine, bucket):
    publish(machine(), "s0", "x")
    manifest = machine("there").get(ASSET, "s0")
    manifest.file("a.txt")
    assert not manifest.place_of("b.txt").exists(), "one file was asked for"
    folder = manifest.file("model")
    assert [path.name for path in folder.iterdir()] == ["c.txt"]
    shutil.rmtree(machine("there").root)
    assert text_of(machine("there").get(ASSET, "s0")) == "x"
    bucket.delete(entry.path for entry in bucket.list(VERSIONS))
    assert text_of(machine("there").get(ASSET, "s0")) == "x", "nothing is fetched again"


def test_a_file_that_was_changed_or_deleted_in_the_bucket_is_no_copy(machine, bucket):
    manifest = publish(machine(), "s0", "x")
    path = f"versions/{ASSET}/s0/{manifest.version}"
    bucket.put(f"{path}/a.txt", b"another")
    bucket.delete([f"{path}/b.txt"])
    there = machine("there").get(ASSET, "s0")
    with pytest.raises(DataError, match=rf"{path}/a.txt has the SHA-256 .* somebody wrote over it"):
        there.file("a.txt")
    with pytest.raises(GoneError, match=rf"{path}/b.txt is gone: .* delete the artefact's object in manifests/"):
        there.file("b.txt")
    assert list(there.place_of("").rglob("*.txt")) == []


def test_manifests_are_fetched_only_if_they_changed(machine, monkeypatch):
    for shard in ("s0", "s1", "s2"):
        publish(machine(), shard, "x")
    there = machine("there")
    assert sorted(there.find_all(ASSET)) == ["s0", "s1", "s2"]
    changed, asked = publish(machine(), "s1", "y"), []
    get = type(there.backend.bucket).get
    monkeypatch.setattr(type(there.backend.bucket), "get", lambda own, path: asked.append(path) or get(own, path))
    assert there.find_all(ASSET)["s1"] == changed
    assert asked == [f"manifests/{ASSET}/s1.json"]


def overtake(machine, bucket, fingerprint):
    """Publish "mine", while a process that took the lock over publishes "theirs" of a fingerprint."""

    def make(out, work):
        bucket.delete(entry.path for entry in bucket.list("locks"))
        publish(machine("thief"), "s0", "theirs", fingerprint)
        (out / "a.txt").write_text("mine")
        return Result(data_version="mine", counts=Counts())

    return machine().publish(ASSET, "s0", fingerprint="f", inputs={}, make=make)


def test_a_writer_that_was_overtaken_takes_an_equal_version(machine, bucket):
    assert text_of(overtake(machine, bucket, "f")) == "theirs"
    assert text_of(machine("there").get(ASSET, "s0")) == "theirs"


def test_a_writer_that_was_overtaken_by_other_inputs_replaces_nothing(machine, bucket):
    with pytest.raises(DataError, match=r"raw_dataset\[s0\] was published from other inputs while it was being made"):
        overtake(machine, bucket, "another")
    assert text_of(machine("there").get(ASSET, "s0")) == "theirs"


def test_a_sweep_leaves_alone_what_is_being_written_and_names_a_damaged_manifest(machine, bucket):
    store = machine()
    publish(store, "s0", "a")
    bucket.put(f"versions/{ASSET}/s0/new-1234/a.txt", b"sent, and named by no manifest yet")
    with leased(bucket, f"{ASSET}/s0"):
        assert store.backend.sweep(timedelta(seconds=-1)) == []
    bucket.put(f"manifests/{ASSET}/s1.json", b"{}")
    with pytest.raises(DataError, match=r"manifests/raw_dataset/s1\.json is no artefact's object"):
        store.backend.sweep()
    bucket.delete([f"manifests/{ASSET}/s1.json"])
    assert store.backend.sweep(timedelta(seconds=-1)) == [f"versions/{ASSET}/s0/new-1234/a.txt"]


def test_what_no_manifest_names_is_swept_when_it_is_old_enough(machine, bucket):
    store = machine()
    versions = [publish(store, "s0", text).version for text in "abcd"]
    bucket.put(f"versions/{ASSET}/s0/killed-1234/a.txt", b"orphan")
    assert store.backend.sweep(timedelta(hours=1)) == []
    swept = store.backend.sweep(timedelta(seconds=-1))
    folders = {path.rpartition("/model")[0] or path.rpartition("/")[0] for path in swept}
    assert folders == {f"versions/{ASSET}/s0/{name}" for name in (*versions[:2], "killed-1234")}
    left = {path.split("/")[3] for path in (entry.path for entry in bucket.list("versions"))}
    assert left == set(versions[2:]), "the current version and the one before stay"
    assert text_of(machine("there").get(ASSET, "s0")) == "d"
    assert text_of(machine("there").previous(ASSET, "s0")) == "c"


def test_an_asset_without_shards_is_swept_too(machine, bucket):

    for text in "abc":
        machine().publish(
            "eval_report", None, fingerprint=text, inputs={}, make=lambda out, work, t=text: write(out, t)
        )
    assert len(machine().backend.sweep(timedelta(seconds=-1))) == len(NAMES)
    assert text_of(machine("there").get("eval_report")) == "c"


def test_a_removed_artefact_is_gone_and_its_files_are_swept(machine, bucket):
    publish(machine(), "s0", "x")
    with machine("writer").backend.writing(f"{ASSET}/s0"):
        assert not machine().remove(ASSET, "s0")
    assert machine().remove(ASSET, "s0")
    assert (machine("there").find(ASSET, "s0"), machine("there").shards(ASSET)) == (None, [])
    assert len(machine().backend.sweep(timedelta(seconds=-1))) == len(NAMES)
    assert bucket.list("versions") == bucket.list("removed") == []


def test_a_reader_of_a_removed_shard_has_a_day_from_its_removal_on(machine, bucket):
    for text in "abc":
        publish(machine(), "s0", text)
    reader = machine("there").get(ASSET, "s0")
    assert machine().remove(ASSET, "s0")
    note = f"removed/{ASSET}/s0.json"
    times = json.loads(bucket.get(note).data)
    assert {since for _, since in unreachable(bucket, timedelta(seconds=-1))} == {
        datetime.fromisoformat(when) for when in times.values()
    }
    in_an_hour = bucket.now() + timedelta(hours=1)
    later = {version: in_an_hour.isoformat() for version in times}
    bucket.put(note, json.dumps(later).encode())  # as if it had been removed an hour after its files were written
    assert machine().backend.sweep(timedelta(seconds=-1)) == []
    assert text_of(reader) == "c"
    publish(machine(), "s0", "back")
    assert machine().backend.sweep(timedelta(seconds=-1)) == [], "nor when the shard comes back"
    bucket.put(note, json.dumps(times).encode())
    assert len(machine().backend.sweep(timedelta(seconds=-1))) == 3 * len(NAMES)
    assert text_of(machine("there").get(ASSET, "s0")) == "back"


def test_a_damaged_manifest_is_named(machine, bucket):
    publish(machine(), "s0", "x")
    bucket.put(f"manifests/{ASSET}/s0.json", b"{")
    with pytest.raises(DataError, match=r"s3://stores/.*manifests/raw_dataset/s0.json.* is not JSON"):
        machine().find(ASSET, "s0")
