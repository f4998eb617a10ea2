"""A release in an object store: a real S3 server on loopback (moto's) through s3fs."""

import json
import traceback

import pytest

from distill_dagster.config import BucketPlaceConfig
from distill_dagster.errors import PublishError
from distill_dagster.release.publish.bucket import POINTER, look_at_bucket
from testing.object_store import open_bucket
from testing.publishing import PROJECT, publish, publish_elsewhere, publish_until

pytestmark = pytest.mark.processes

BUCKET = "models-of-a-team"
PLACE = {"url": f"s3://{BUCKET}/support"}


@pytest.fixture(scope="module")
def server():
    """The client of a server with a bucket; s3fs keeps its address."""
    with open_bucket(BUCKET) as client:
        yield client


@pytest.fixture
def bucket(server):
    """The client of the bucket, which is empty."""
    for found in objects(server):
        server.delete_object(Bucket=BUCKET, Key=found)
    return server


@pytest.fixture
def publish_here(bucket, tmp_path):
    return lambda released: publish(released.spec(tmp_path / "out", bucket=PLACE))


def objects(client) -> dict[str, str]:
    """Key -> version of every object, which each write changes."""
    found = client.list_objects_v2(Bucket=BUCKET).get("Contents", [])
    return {entry["Key"]: f"{entry['ETag']} {entry['LastModified']}" for entry in found}


def read(client, key: str) -> bytes:
    return client.get_object(Bucket=BUCKET, Key=f"support/{key}")["Body"].read()


def current(client) -> dict[str, bytes]:
    """Path -> bytes of what the pointer leads to."""
    prefix = f"support/{json.loads(read(client, POINTER))['prefix']}/"
    names = [key.removeprefix(prefix) for key in objects(client) if key.startswith(prefix)]
    return {name: client.get_object(Bucket=BUCKET, Key=prefix + name)["Body"].read() for name in names}


def test_the_pointer_leads_to_the_files(first, publish_here, bucket):
    place = publish_here(first)
    assert (place.state, place.uploaded) == ("published", len(first.contents))
    assert place.url == f"{PLACE['url']}/releases/{first.bundle.release}"
    assert current(bucket) == first.published


def test_the_same_release_writes_no_object_again(first, publish_here, bucket):
    publish_here(first)
    before = objects(bucket)
    again = publish_here(first)
    assert (again.state, again.uploaded) == ("already there", 0)
    assert objects(bucket) == before


def test_a_rollback_writes_only_the_pointer(first, second, publish_here, bucket):
    publish_here(first)
    publish_here(second)
    before = objects(bucket)
    back = publish_here(first)
    assert (back.state, back.uploaded) == ("published", 0)
    assert current(bucket) == first.published
    assert {key for key, version in objects(bucket).items() if before[key] != version} == {f"support/{POINTER}"}


@pytest.mark.parametrize(
    ("target", "number", "left"),
    [
        ("s3fs:S3FileSystem._cp_file", 3, 2),
        ("s3fs:S3FileSystem._put_file", 2, 1),
        ("s3fs:S3FileSystem._pipe_file", 2, 0),
    ],
)
def test_a_kill_leaves_the_pointer_and_the_next_run_goes_on(
    first, second, publish_here, bucket, tmp_path, target, number, left
):
    publish_here(first)
    spec = second.spec(tmp_path / "out", bucket=PLACE)
    publish_until(spec, target, number)
    assert current(bucket) == first.published
    place = publish_elsewhere(spec)
    assert (place.state, place.uploaded) == ("published", left)
    assert current(bucket) == second.published


def test_only_what_the_previous_release_lacks_is_sent(first, second, publish_here, bucket):
    publish_here(first)
    assert publish_here(second).uploaded == 2, "the weights"
    assert current(bucket) == second.published


def test_what_cannot_be_copied_is_sent(first, second, publish_here, bucket, monkeypatch):
    async def refuse(*_, **__):
        raise PermissionError("Access Denied")

    publish_here(first)
    monkeypatch.setattr("s3fs.S3FileSystem._copy_basic", refuse)
    assert publish_here(second).uploaded == len(second.contents)
    assert current(bucket) == second.published


def test_an_error_shows_one_line_without_the_secret_and_no_chain(first, publish_here, monkeypatch):
    async def refuse(*_, **__):
        raise RuntimeError("no access with a-secret-of-the-team\nAuthorization: a-secret-of-the-team")

    monkeypatch.setenv("AWS_SESSION_TOKEN", "a-secret-of-the-team")
    monkeypatch.setattr("s3fs.S3FileSystem._call_s3", refuse)
    with pytest.raises(PublishError, match=r"\(no access with \*\*\*\): look at the bucket") as error:
        publish_here(first)
    assert "a-secret" not in "".join(traceback.format_exception(error.value))
    assert "Authorization" not in str(error.value)


def test_another_projects_folder_is_refused(first, second, publish_here, bucket):
    publish_here(first)
    pointer = read(bucket, POINTER).replace(b'"project": "support"', b'"project": "sales"')
    bucket.put_object(Bucket=BUCKET, Key=f"support/{POINTER}", Body=pointer)
    with pytest.raises(PublishError, match="holds a release of the project sales, and this one is support"):
        publish_here(second)
    with pytest.raises(PublishError, match="holds a release of the project sales"):
        look_at_bucket(BucketPlaceConfig(**PLACE), PROJECT, whole=True)


def test_the_preflight_leaves_nothing_and_names_a_bucket_that_is_gone(bucket):
    assert look_at_bucket(BucketPlaceConfig(**PLACE), PROJECT, whole=True) == f"{PLACE['url']} can be written"
    assert objects(bucket) == {}
    with pytest.raises(PublishError, match="s3://no-such-bucket/x cannot be read or written"):
        look_at_bucket(BucketPlaceConfig(url="s3://no-such-bucket/x"), PROJECT, whole=True)
