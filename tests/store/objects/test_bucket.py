"""The few operations on a bucket, and the errors of one that cannot be used."""

import importlib.util
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import pytest

from distill_dagster.errors import DataError
from distill_dagster.store.objects import bucket as module
from distill_dagster.store.objects.bucket import Bucket, TakenError, open_bucket


def test_an_object_is_created_once(bucket):
    tag = bucket.create("a/b.json", b"first")
    with pytest.raises(TakenError):
        bucket.create("a/b.json", b"second")
    found = bucket.get("a/b.json")
    assert (found.data, found.tag.e_tag) == (b"first", tag.e_tag)
    assert bucket.get("a/c.json") is None


def test_an_object_is_replaced_only_in_the_state_that_was_read(bucket):
    first = bucket.create("a", b"first")
    second = bucket.replace("a", b"second", first)
    with pytest.raises(TakenError):
        bucket.replace("a", b"third", first)
    assert bucket.get("a").data == b"second"
    bucket.delete(["a"])
    with pytest.raises(TakenError):
        bucket.replace("a", b"fourth", second)
    assert bucket.get("a") is None


def test_a_write_whose_answer_was_lost_is_no_loss(bucket):
    """The client sends it again, and the server refuses it because of itself."""
    tag = bucket.create("a", b"mine")
    assert bucket.create("a", b"mine").e_tag == tag.e_tag
    later = bucket.replace("a", b"mine too", tag)
    assert bucket.replace("a", b"mine too", tag).e_tag == later.e_tag


class Conflicting:
    """A server that answers 409 while another write is under way, which then fails."""

    def __init__(self, store, error):
        self._store, self._error, self.refused = store, error, 0

    def __getattr__(self, name):
        return getattr(self._store, name)

    def put(self, path, data, **how):
        if self.refused < 2:
            self.refused += 1
            raise self._error("conflict")
        return self._store.put(path, data, **how)


def test_a_conflict_with_a_write_that_fails_is_tried_again(url, bucket):
    from obstore.exceptions import AlreadyExistsError, PreconditionError

    tag = Bucket(url, Conflicting(opened(url), AlreadyExistsError)).create("a", b"first")
    Bucket(url, Conflicting(opened(url), PreconditionError)).replace("a", b"second", tag)
    assert bucket.get("a").data == b"second"


def opened(url):
    from obstore.store import from_url

    return from_url(url, client_options={"allow_http": True})


def test_of_many_writers_one_wins(bucket):
    def create(number):
        try:
            return bucket.create("a", f"writer {number}".encode())
        except TakenError:
            return None

    with ThreadPoolExecutor(16) as pool:
        won = [number for number, tag in enumerate(pool.map(create, range(16))) if tag]
    assert len(won) == 1
    assert bucket.get("a").data == f"writer {won[0]}".encode()


def test_files_arrive_whole_also_in_parts(bucket, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "PART_BYTES", 5 * 2**20)
    file = tmp_path / "weights"
    file.write_bytes(bytes(range(256)) * 50_000)  # 12.8 MB: three parts
    bucket.put_file("files/weights", file)
    chunks = list(bucket.chunks("files/weights"))
    assert b"".join(chunks) == file.read_bytes()
    assert len(chunks) > 1
    assert bucket.chunks("files/other") is None
    assert [(entry.path, entry.size) for entry in bucket.list("files")] == [("files/weights", 12_800_000)]


def test_a_folder_is_listed_without_its_neighbours(bucket):
    for path in ("raw/a", "raw/b/c", "raw.json", "rawer/d"):
        bucket.put(path, b"")
    assert [entry.path for entry in bucket.list("raw")] == ["raw/a", "raw/b/c"]
    bucket.delete(["raw/a", "raw/never"])
    assert [entry.path for entry in bucket.list("raw")] == ["raw/b/c"]


def test_the_clock_is_that_of_the_server(bucket, monkeypatch):
    before = datetime.now(UTC).replace(microsecond=0)
    monkeypatch.setattr("time.time", lambda: 0.0)
    assert before <= bucket.now() <= datetime.now(UTC)


def test_a_bucket_that_does_not_exist_is_named(server):
    with pytest.raises(DataError, match=r"s3://nowhere/store cannot be used \(.*\): look at the bucket's name"):
        open_bucket("s3://nowhere/store").put("a", b"")


def test_a_server_that_does_not_answer_is_named_and_no_secret_is(monkeypatch):
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "127.0.0.1:9")
    with pytest.raises(DataError, match=r"s3://stores/a cannot be used") as caught:
        open_bucket("s3://stores/a", retry_seconds=1).get("b")
    assert "127.0.0.1:9" not in str(caught.value)


def test_keys_are_read_from_the_files_of_aws_too(server, tmp_path, monkeypatch):
    (tmp_path / "credentials").write_text("[default]\naws_access_key_id = key\naws_secret_access_key = secret\n")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    own = open_bucket("s3://stores/by-file")
    own.put("a", b"here")
    assert own.get("a").data == b"here"


def test_the_missing_package_is_named(monkeypatch):
    find = importlib.util.find_spec
    monkeypatch.setattr(module, "find_spec", lambda name: None if name == "obstore" else find(name))
    with pytest.raises(DataError, match=r"needs obstore: install `distill-dagster\[bucket\]`"):
        open_bucket("s3://stores/without-package")
