"""A webhook that alerts go to."""

import pytest

from testing.alert_servers import webhook


@pytest.fixture
def hook(monkeypatch):
    """The only address that is alerted."""
    with webhook() as value:
        monkeypatch.setenv("DISTILL_ALERT_URLS", value.url)
        yield value
