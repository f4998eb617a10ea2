"""Waits before another attempt that a test can bear."""

import pytest

from distill_dagster.teachers import waits


@pytest.fixture
def short_waits(monkeypatch):
    """The product's waits, a twentieth as long; those that a server names stay."""
    for name in ("BASE_S", "CAP_S", "RENEWS_S"):
        monkeypatch.setattr(waits, name, getattr(waits, name) / 20)
