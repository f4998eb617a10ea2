"""Every target with damaged and made-up bytes: what cannot be read is a UserError, and nothing else."""

import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.fuzz.cases import CASES
from tests.fuzz.seeds import seeds
from tests.fuzz.targets import TARGETS, feed

SEEDS = seeds()
QUICK = settings(
    derandomize=True, max_examples=25, deadline=None, database=None, suppress_health_check=[HealthCheck.too_slow]
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


@st.composite
def damaged(draw, name: str) -> bytes:
    """A seed with a piece cut out, doubled, or replaced."""
    data = draw(st.sampled_from(SEEDS[name]))
    start = draw(st.integers(0, len(data)))
    end = draw(st.integers(start, min(len(data), start + 32)))
    piece = draw(
        st.sampled_from([b"", data[start:end] * 2, b"\x00", b"\xff\xfe", b"null", b"1e999", b"[[["])
        | st.binary(max_size=8)
    )
    return data[:start] + piece + data[end:]


@pytest.mark.parametrize("name", TARGETS)
def test_seeds_are_read_or_refused(name):
    assert any([feed(name, seed) for seed in SEEDS[name]]) or name == "report"


@pytest.mark.parametrize("name", TARGETS)
def test_damaged_bytes(name):
    @QUICK
    @given(damaged(name))
    def check(data: bytes) -> None:
        feed(name, data)

    check()


@pytest.mark.parametrize("name", ["row", "reply", "refusal", "journal", "manifest", "config", "report"])
def test_any_json(name):
    @QUICK
    @given(JSON)
    def check(value: object) -> None:
        feed(name, json.dumps(value, allow_nan=False).encode())

    check()


@pytest.mark.parametrize(("name", "data"), CASES)
def test_what_was_found_stays_mended(name, data):
    feed(name, data)
