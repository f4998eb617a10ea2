"""The tests; an assert in `testing/` that fails says as much as one in a test."""

import pytest

pytest.register_assert_rewrite("testing")
