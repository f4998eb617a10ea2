"""A full disk, as each library reports it: one message, which names the disk that is full."""

import errno
import os
import resource
import tempfile

import pytest

from distill_dagster.errors import DataError
from distill_dagster.store.artefacts import Store
from distill_dagster.store.disk import room_for
from distill_dagster.store.result import Counts, Result
from testing.generation_contract import small_disk

MIB = b"x" * 2**20


@pytest.fixture
def disk(tmp_path):
    """The folder of a disk of 1 MiB."""
    with small_disk(tmp_path / "disk", "1m"):
        yield tmp_path / "disk"


def write_bytes(folder):
    (folder / "file").write_bytes(MIB * 2)


def write_torch(folder):
    import torch

    torch.save({"weights": torch.zeros(2**20)}, folder / "optimizer.pt")


def write_safetensors(folder):
    import torch
    from safetensors.torch import save_file

    save_file({"weights": torch.zeros(2**20)}, folder / "model.safetensors")


def write_parquet(folder):
    import pyarrow as pa
    import pyarrow.parquet as pq

    rows = pa.table({"text": [os.urandom(2**12).hex() for _ in range(1000)]})
    pq.write_table(rows, folder / "rows.parquet")


WRITERS = [write_bytes, write_torch, write_safetensors, write_parquet]


@pytest.mark.parametrize("write", WRITERS)
def test_a_full_store_is_named_and_the_version_before_stays(disk, write):
    store = Store(disk / "store")

    def make(out, work):
        write(out)
        return Result(data_version="v2", counts=Counts())

    before = store.publish(
        "student_checkpoint",
        None,
        fingerprint="f1",
        inputs={},
        make=lambda *_: Result(data_version="v", counts=Counts()),
    )
    with pytest.raises(DataError) as error:
        store.publish("student_checkpoint", None, fingerprint="f2", inputs={}, make=make)
    assert f"the store {disk}/store is full" in str(error.value)
    assert f"make room on the file system {disk} (" in str(error.value)
    assert store.get("student_checkpoint") == before
    assert not list(disk.rglob(".scratch-*")), "what was written is removed, so that there is room again"


@pytest.mark.parametrize("write", WRITERS)
def test_a_full_disk_beside_the_store_is_named_instead(disk, tmp_path, write, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(disk))
    with pytest.raises(DataError) as error, room_for(tmp_path / "store"):
        write(disk)
    assert f"{disk} is full" in str(error.value)
    assert f"make room on the file system {disk} (" in str(error.value)
    assert "the store" not in str(error.value)


def test_an_error_that_a_library_wraps_is_found(tmp_path):
    wrapped = RuntimeError("saving failed")
    wrapped.__cause__ = OSError(errno.ENOSPC, "No space left on device")
    with pytest.raises(DataError, match=rf"the store {tmp_path} is full \(saving failed\)"), room_for(tmp_path):
        raise wrapped


def test_a_file_that_exceeds_a_limit_of_the_process_is_no_full_disk(tmp_path):
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))
    try:
        with pytest.raises(DataError, match="raise `ulimit -f`"), room_for(tmp_path):
            (tmp_path / "file").write_bytes(MIB)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.parametrize(
    "error",
    [RuntimeError("PytorchStreamWriter failed writing file data/0"), ValueError("the disk is fine"), OSError(5, "I/O")],
)
def test_other_errors_pass(tmp_path, error):
    with pytest.raises(type(error)) as caught, room_for(tmp_path):
        raise error
    assert caught.value is error
