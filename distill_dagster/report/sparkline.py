"""A line of numbers as a small picture inside Markdown, for Dagster's metadata panel.

    sparkline([2.3, 1.1, 0.6, 0.5])  ->  ![2.3 to 0.5](data:image/svg+xml;base64,PHN2Zy…)

The whole text stays under 1,000 characters, because metadata is stored with every event: a longer series is
averaged into buckets. The SVG is written by hand, because matplotlib's smallest one is ten times as long.
"""

import base64
import math
from collections.abc import Sequence
from itertools import pairwise

MAX_POINTS = 48
COLOUR = "#3b82f6"  # legible on white and on Dagster's dark theme


def sparkline(values: Sequence[float], width: int = 160, height: int = 32) -> str:
    """Markdown image of a series, first value left. The alt text counts the values that are not finite.

    Raises:
        ValueError: no value is finite.
    """
    finite = [float(v) for v in values if math.isfinite(v)]
    if not finite:
        raise ValueError(f"a sparkline needs a finite value; none of the {len(values)} values is finite")
    left_out = len(values) - len(finite)
    alt = f"{finite[0]:.3g} to {finite[-1]:.3g}" + (f" ({left_out} not finite)" if left_out else "")
    svg = (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}"><polyline fill="none" '
        f'stroke="{COLOUR}" stroke-width="2" points="{_points(_buckets(finite), width, height)}"/></svg>'
    )
    return f"![{alt}](data:image/svg+xml;base64,{base64.b64encode(svg.encode()).decode()})"


def _buckets(values: list[float]) -> list[float]:
    """Average neighbours so that at most MAX_POINTS values are left; the first and the last value stay as they are."""
    if len(values) <= MAX_POINTS:
        return values
    inner, count = values[1:-1], MAX_POINTS - 2
    edges = [round(i * len(inner) / count) for i in range(count + 1)]
    means = [math.fsum(inner[a:b]) / (b - a) for a, b in pairwise(edges)]
    return [values[0], *means, values[-1]]


def _points(values: list[float], width: int, height: int) -> str:
    low, high = min(values), max(values)
    across, up = (width - 4) / max(len(values) - 1, 1), (height - 4) / ((high - low) or 1)
    xy = [(round(2 + i * across), round(height - 2 - (v - low) * up)) for i, v in enumerate(values)]
    if len(xy) == 1:  # a single value becomes a level line
        xy.append((width - 2, xy[0][1]))
    return " ".join(f"{x},{y}" for x, y in xy)
