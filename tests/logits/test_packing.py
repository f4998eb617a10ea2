"""Numbers come out as they went in, in no more bytes than their bits need."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from distill_dagster.logits.packing import bits_for, pack, packed_size, unpack


@pytest.mark.parametrize(("count", "bits"), [(1, 0), (2, 1), (64, 6), (65, 7), (300, 9), (151_936, 18), (262_144, 18)])
def test_as_many_bits_as_tell_the_numbers_apart(count, bits):
    assert bits_for(count) == bits


def test_sixty_four_ids_of_a_large_vocabulary_are_144_bytes():
    ids = np.arange(151_936 - 64, 151_936)
    assert len(pack(ids, bits_for(151_936))) == 144
    assert len(pack(ids.reshape(8, 8), 18)) == packed_size(64, 18) == 144


@given(st.data())
def test_every_number_survives_at_every_width(data):
    width = data.draw(st.integers(0, 32))
    values = data.draw(st.lists(st.integers(0, 2**width - 1), max_size=200))
    blob = pack(np.array(values, dtype=np.uint32), width)
    assert len(blob) == packed_size(len(values), width) <= (len(values) * width + 7) // 8 + 3
    assert unpack(blob, len(values), width).tolist() == values


@pytest.mark.parametrize("values", [[8], [-1]])
def test_a_number_that_does_not_fit_is_never_cut(values):
    with pytest.raises(AssertionError, match="more than 3 bits"):
        pack(np.array(values), 3)


def test_a_blob_of_another_size_is_refused():
    with pytest.raises(ValueError, match="8 bytes, but 4 numbers of 18 bits take 9"):
        unpack(pack(np.arange(4), 18)[:-1], 4, 18)
