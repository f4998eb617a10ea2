"""A server with a batch API, asked without waits."""

import pytest

from distill_dagster.teachers.batching import provider, sending
from testing.batch_server import BatchServer


@pytest.fixture
def server(monkeypatch):
    """Starts with the usual script."""
    monkeypatch.setattr(sending, "FIRST_POLL_S", 0.02)
    monkeypatch.setattr(provider, "SETTLE_S", 0.0)
    with BatchServer() as running:
        running.script()
        yield running
