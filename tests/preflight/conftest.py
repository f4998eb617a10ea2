"""A process that has sent no request yet, and machines with GPUs."""

import pytest

from distill_dagster.preflight import devices
from distill_dagster.resources import gpu
from distill_dagster.teachers.sending import forget_endpoints


@pytest.fixture(autouse=True)
def first_requests(monkeypatch):
    monkeypatch.setenv("DAGSTER_HOME", "")  # so that what a command leaves there is gone after the test
    forget_endpoints()
    yield
    forget_endpoints()


@pytest.fixture
def one_gpu(monkeypatch):
    """A machine with one GPU of 16 GB."""
    have_gpus(monkeypatch, "0")


@pytest.fixture
def two_gpus(monkeypatch):
    """A machine with two GPUs of 16 GB."""
    have_gpus(monkeypatch, "0", "1")


def have_gpus(monkeypatch, *names: str) -> None:
    for module in (gpu, devices):
        monkeypatch.setattr(module, "machine_devices", lambda: dict.fromkeys(names, 16.0))
    monkeypatch.setattr(devices, "_torch_finds_cuda", lambda: True)
