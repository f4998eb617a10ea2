"""A bucket on a real S3 server, with a folder of its own for each test."""

import uuid

import pytest

from distill_dagster.store.objects.bucket import Bucket, open_bucket
from testing import object_store


@pytest.fixture(scope="module")
def server():
    with object_store.open_bucket("stores") as client:
        yield client


@pytest.fixture
def url(server) -> str:
    """The URL of an empty store."""
    return f"s3://stores/{uuid.uuid4().hex}"


@pytest.fixture
def bucket(url) -> Bucket:
    return open_bucket(url)
