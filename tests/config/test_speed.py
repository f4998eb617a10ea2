"""`evaluation.speed`: its bounds, and what an error says."""

import pytest
from pydantic import ValidationError

from distill_dagster.config import SpeedConfig


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"concurrency": [8, 32]}, r"`concurrency: \[8, 32\]` needs 1"),
        ({"concurrency": [1, 8, 8]}, "each number once"),
        ({"concurrency": [1, 1000]}, "has 1000: give numbers from 1 to 256"),
        ({"concurrency": [0, 1]}, "has 0"),
        ({"rounds": 2}, "greater than or equal to 3"),
        ({"seconds": 0}, "greater than 0"),
        ({"rounds": 6, "endpoint_requests": 5}, "fewer than `rounds: 6`: give one for each round, or 0 for none"),
        ({"usd_per_hour": 0}, "greater than 0"),
    ],
)
def test_what_cannot_be_timed_is_refused(changes, says):
    with pytest.raises(ValidationError, match=says):
        SpeedConfig(**changes)


def test_the_numbers_in_flight_are_sorted_and_an_endpoint_may_be_left_out():
    found = SpeedConfig(concurrency=[32, 1, 8], endpoint_requests=0)
    assert (found.concurrency, found.endpoint_requests) == ([1, 8, 32], 0)
