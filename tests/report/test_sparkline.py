"""Sparklines: short, valid, and true to the series' ends and extremes."""

import base64
import math
import re
import xml.etree.ElementTree as ET

import pytest

from distill_dagster.report.sparkline import sparkline


def points(markdown: str) -> list[tuple[int, int]]:
    found = re.fullmatch(r"!\[[^\]]*\]\(data:image/svg\+xml;base64,([A-Za-z0-9+/=]+)\)", markdown)
    svg = ET.fromstring(base64.b64decode(found[1]))
    return [tuple(map(int, pair.split(","))) for pair in svg[0].get("points").split()]


@pytest.mark.parametrize("count", [1, 2, 48, 49, 50, 1000, 100_000])
def test_short_and_inside_the_picture(count):
    markdown = sparkline([math.exp(-i / count) + 0.01 * (i % 3) for i in range(count)], 160, 32)
    assert len(markdown) < 1000
    assert all(0 <= x <= 160 and 0 <= y <= 32 for x, y in points(markdown))
    assert points(markdown)[0][0] == 2
    assert points(markdown)[-1][0] == 158


def test_ends_and_direction():
    drawn = points(sparkline([3.0, 2.0, 1.0]))
    assert [y for _, y in drawn] == [2, 16, 30]  # y grows downwards
    long = points(sparkline([100.0, *[1.0] * 500, 50.0]))
    assert (long[0][1], long[1][1], long[-1][1]) == (2, 30, 16)


def test_values_that_are_not_finite_are_counted():
    assert sparkline([1.0, math.nan, 0.5]).startswith("![1 to 0.5 (1 not finite)]")
    with pytest.raises(ValueError, match="none of the 1 values is finite"):
        sparkline([math.nan])


def test_level_series():
    assert {y for _, y in points(sparkline([5.0, 5.0, 5.0]))} == {30}
