"""Source files behind s3://, on a real S3 server (moto's) through s3fs: listed, read, hashed, and replaced."""

import gzip
import hashlib
import json
from pathlib import Path

import datasets
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from distill_dagster.config import DataConfig
from distill_dagster.errors import DataError
from distill_dagster.sources.files.discovery import content_hash, discover, discover_test
from distill_dagster.sources.judging.verdicts import SourceReading
from testing.object_store import open_bucket

pytestmark = pytest.mark.processes

BUCKET = "rows-of-a-team"


@pytest.fixture(scope="module")
def bucket():
    """The client of an empty bucket."""
    with open_bucket(BUCKET) as client:
        yield client


def rows(count, start=0):
    return [{"messages": [{"role": "user", "content": f"question {n}"}]} for n in range(start, start + count)]


def jsonl(made):
    return "".join(json.dumps(row) + "\n" for row in made).encode()


def put(client, key, body):
    client.put_object(Bucket=BUCKET, Key=key, Body=body)


def counts(source, data):
    reading = SourceReading(source, data, "qa")
    return [row["messages"][0]["content"] for batch in reading for row in batch.rows.to_pylist()], reading.counts


def test_files_of_every_kind_are_read_over_s3(bucket, tmp_path):
    pq.write_table(pa.Table.from_pylist(rows(300, 100)), tmp_path / "b.parquet")
    put(bucket, "train/a.jsonl.gz", gzip.compress(jsonl([*rows(100), {"messages": []}])))
    put(bucket, "train/b.parquet", (tmp_path / "b.parquet").read_bytes())
    put(bucket, "test.json", json.dumps(rows(10, 400)).encode())
    datasets.Dataset.from_list(rows(50, 500)).save_to_disk(str(tmp_path / "c"), num_shards=2)
    for file in Path(tmp_path / "c").iterdir():
        put(bucket, f"train/c/{file.name}", file.read_bytes())
    data = DataConfig(train=f"s3://{BUCKET}/train/*", test=f"s3://{BUCKET}/test.json", validation_share=0)
    a, b, c = discover(data)
    assert [s.url for s in (a, b, c)] == [f"s3://{BUCKET}/train/{name}" for name in ("a.jsonl.gz", "b.parquet", "c")]
    assert [s.key for s in (a, b, c)] == ["train-a", "train-b", "train-c"]
    texts, counted = counts(a, data)
    assert texts == [f"question {n}" for n in range(100)]
    assert counted == {"lines": 101, "rows": 100, "rejected": 1, "E002": 1}
    assert len(counts(b, data)[0]) == 300
    assert len(counts(c, data)[0]) == 50
    assert len(counts(discover_test(data)[0], data)[0]) == 10


def test_an_object_that_was_replaced_is_read_and_hashed_whole(bucket):
    data = DataConfig(train=f"s3://{BUCKET}/replaced/*", test="x")
    put(bucket, "replaced/a.jsonl", jsonl(rows(2)))
    (source,) = discover(data)
    before = content_hash(source)
    longer = jsonl(rows(5000))
    put(bucket, "replaced/a.jsonl", longer)  # by another client, so s3fs does not notice
    assert content_hash(source) == hashlib.sha256(longer).hexdigest() != before
    assert counts(source, data)[1]["lines"] == 5000
    put(bucket, "replaced/a.jsonl", jsonl(rows(7)))
    assert counts(source, data)[1]["lines"] == 7


def test_a_missing_object_is_an_error_of_the_data(bucket):
    with pytest.raises(DataError, match="matches no file"):
        discover(DataConfig(train=f"s3://{BUCKET}/nothing/*.jsonl", test="x"))
    put(bucket, "gone.jsonl", b"{}")
    (source,) = discover(DataConfig(train=f"s3://{BUCKET}/gone.jsonl", test="x"))
    bucket.delete_object(Bucket=BUCKET, Key="gone.jsonl")
    with pytest.raises(DataError, match="does not exist"):
        content_hash(source)
    with pytest.raises(DataError, match="no-such-bucket"):
        discover(DataConfig(train="s3://no-such-bucket/*.jsonl", test="x"))


def test_a_torn_object_is_an_error(bucket):
    put(bucket, "torn.jsonl.gz", gzip.compress(jsonl(rows(500)))[:-20])
    data = DataConfig(train=f"s3://{BUCKET}/torn.jsonl.gz", test="x")
    (source,) = discover(data)
    with pytest.raises(DataError, match=r"torn\.jsonl\.gz cannot be read to its end"):
        counts(source, data)
