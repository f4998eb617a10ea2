"""A real S3 server on loopback, which s3fs finds through the environment, as usual."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import boto3
import pytest
import s3fs
from moto.server import ThreadedMotoServer


@contextmanager
def open_bucket(name: str) -> Iterator[Any]:
    """A boto3 client of a server with an empty bucket; the server ends with the block."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ENDPOINT_URL", f"http://{host}:{port}")
        patch.setenv("AWS_ACCESS_KEY_ID", "key")
        patch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
        patch.setenv("AWS_DEFAULT_REGION", "us-east-1")
        s3fs.S3FileSystem.clear_instance_cache()  # it would go on with the address of an earlier server
        client = boto3.client("s3")
        client.create_bucket(Bucket=name)
        yield client
    server.stop()
