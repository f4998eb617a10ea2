"""Released students for the tests of the places."""

import pytest

from testing.publishing import ReleasedFiles


@pytest.fixture
def first(tmp_path) -> ReleasedFiles:
    """The release that is published first."""
    return ReleasedFiles(tmp_path / "first", "a")


@pytest.fixture
def second(tmp_path) -> ReleasedFiles:
    """One that replaces it."""
    return ReleasedFiles(tmp_path / "second", "b")
