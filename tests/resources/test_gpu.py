"""Device leases, with made-up device ids: never one device twice, all or nothing, freed by a killed process."""

import multiprocessing
import os
import signal
import time

import pytest

from distill_dagster.config import Need
from distill_dagster.errors import ComputeError
from distill_dagster.resources import gpu
from distill_dagster.resources.gpu import GpuPool, ordinal

context = multiprocessing.get_context("spawn")


def pool(folder, count) -> GpuPool:
    return GpuPool(devices=[str(i) for i in range(count)], lock_folder=str(folder))


def test_without_devices_a_need_that_accepts_a_cpu_gets_one(tmp_path):
    with pool(tmp_path, 0).lease(Need(gpus=1, cpu=True)) as devices:
        assert devices == []


def test_without_devices_a_need_for_a_gpu_is_refused_with_both_numbers(tmp_path):
    with pytest.raises(ComputeError, match=r"1 GPU\(s\) asked for, this machine has 0.*cpu: true"):
        pool(tmp_path, 0).lease(Need(gpus=1, cpu=False)).__enter__()


def test_more_than_the_machine_has_is_refused_even_where_a_cpu_would_do(tmp_path):
    with pytest.raises(ComputeError, match=r"2 GPU\(s\) asked for, this machine has 1"):
        pool(tmp_path, 1).lease(Need(gpus=2, cpu=True)).__enter__()


def test_two_leases_get_different_devices(tmp_path):
    gpus = pool(tmp_path, 8)
    with gpus.lease(Need(gpus=3)) as first, gpus.lease(Need(gpus=5)) as second:
        assert len(first) == 3
        assert len(second) == 5
        assert not set(first) & set(second)


def test_a_device_is_free_again_after_an_error(tmp_path):
    gpus = pool(tmp_path, 1)
    with pytest.raises(RuntimeError), gpus.lease(Need(gpus=1)):
        raise RuntimeError("out of memory")
    with gpus.lease(Need(gpus=1)) as devices:
        assert devices == ["0"]


def test_memory_decides_which_devices_count(tmp_path, monkeypatch):
    monkeypatch.setattr(gpu, "machine_devices", lambda: {"0": 24.0, "1": 80.0})
    gpus = GpuPool(lock_folder=str(tmp_path))
    with gpus.lease(Need(gpus=1, memory_gb=40)) as devices:
        assert devices == ["1"]
    with pytest.raises(ComputeError, match=r"2 GPU\(s\) with 40 GB asked for, this machine has 1"):
        gpus.lease(Need(gpus=2, memory_gb=40)).__enter__()


def test_a_card_counts_as_what_it_is_sold_as(tmp_path, monkeypatch):
    monkeypatch.setattr(gpu, "machine_devices", lambda: {"0": 23034 / 1024, "1": 15360 / 1024})  # L4, T4
    gpus = GpuPool(lock_folder=str(tmp_path))
    assert gpus.usable(Need(gpus=1, memory_gb=24)) == ["0"]
    assert gpus.usable(Need(gpus=1, memory_gb=16)) == ["0", "1"]


def use_devices(folder, count, needs, log):
    """Lease again and again, and note who held what from when to when."""
    gpus = pool(folder, count)
    for gpus_wanted in needs:
        with gpus.lease(Need(gpus=gpus_wanted)) as devices:
            start = time.monotonic()
            time.sleep(0.03)
            log.put((tuple(devices), start, time.monotonic()))


@pytest.mark.processes
def test_processes_never_share_a_device_and_nobody_starves(tmp_path):
    log = context.Queue()
    workers = [context.Process(target=use_devices, args=(tmp_path, 2, [1, 2, 1], log)) for _ in range(3)]
    for worker in workers:
        worker.start()
    held = [log.get() for _ in range(9)]
    for worker in workers:
        worker.join()
    spans = sorted((start, end, device) for devices, start, end in held for device in devices)
    for i, (_, end, device) in enumerate(spans):
        assert all(start >= end for start, _, other in spans[i + 1 :] if other == device)
    assert sorted(len(devices) for devices, _, _ in held) == [1, 1, 1, 1, 1, 1, 2, 2, 2]


def hold_for_ever(folder, holding):
    with pool(folder, 1).lease(Need(gpus=1)):
        holding.set()
        time.sleep(120)


@pytest.mark.processes
def test_a_killed_process_gives_its_device_back(tmp_path):
    holding = context.Event()
    holder = context.Process(target=hold_for_ever, args=(tmp_path, holding))
    holder.start()
    assert holding.wait()
    assert pool(tmp_path, 1)._acquire(["0"], 1) is None
    os.kill(holder.pid, signal.SIGKILL)
    holder.join()
    with pool(tmp_path, 1).lease(Need(gpus=1)) as devices:
        assert devices == ["0"]


def test_a_device_that_is_named_by_its_uuid_has_no_number_unless_cuda_lists_it(monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "GPU-a,GPU-b")
    assert ordinal("GPU-b") == 1
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES")
    assert ordinal("3") == 3
    with pytest.raises(ComputeError, match="GPU-b, which is not a number"):
        ordinal("GPU-b")


def test_a_folder_of_leases_that_others_may_write_is_refused(tmp_path):
    shared, linked = tmp_path / "shared", tmp_path / "linked"
    shared.mkdir()
    shared.chmod(0o777)
    (tmp_path / "own").mkdir()
    linked.symlink_to(tmp_path / "own")
    for folder in (shared, linked):
        pool = GpuPool(devices=["0"], lock_folder=str(folder))
        with pytest.raises(ComputeError, match="look who made it"), pool.lease(Need(gpus=1)):
            pass
    made = GpuPool(devices=["0"], lock_folder=str(tmp_path / "new"))
    with made.lease(Need(gpus=1)) as devices:
        assert devices == ["0"]
    assert (tmp_path / "new").stat().st_mode & 0o077 == 0
