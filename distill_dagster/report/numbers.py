"""Numbers as people read them: percentages, times, sizes and ratios.

    percent(0.9713)                97.1 %
    percent_range(0.95, 0.992)     95.0–99.2
    duration(41.03)                41.0 ms
    size(3_704_120)                3.70 MB
    ratio_phrase(11.2, "parameters", "fewer", "more", "as many parameters")    11 times fewer parameters

A measure that is None is "not measured"; a share or a ratio that is None is a dash.
"""

DASH = "–"
NOT_MEASURED = "not measured"


def percent(value: float | None) -> str:
    """A share with one decimal, or with two if one would round it to nothing."""
    if value is None:
        return DASH
    return f"{value * 100:.2f} %" if 0 < abs(value) < 0.0005 else f"{value * 100:.1f} %"


def percent_range(low: float | None, high: float | None) -> str:
    """Two shares without the unit."""
    return DASH if low is None or high is None else f"{low * 100:.1f}{DASH}{high * 100:.1f}"


def duration(milliseconds: float | None) -> str:
    """Three significant digits in ms, or seconds from 10 s on."""
    if milliseconds is None:
        return NOT_MEASURED
    if milliseconds >= 10_000:
        return f"{milliseconds / 1000:.1f} s"
    decimals = 0 if milliseconds >= 100 else 1 if milliseconds >= 10 else 2
    return f"{milliseconds:,.{decimals}f} ms"


def size(count: float | None) -> str:
    """Bytes in powers of 1,000."""
    if count is None:
        return NOT_MEASURED
    for scale, unit in ((1e12, "TB"), (1e9, "GB"), (1e6, "MB"), (1e3, "kB")):
        if count >= scale:
            return f"{_three_digits(count / scale)} {unit}"
    return f"{count:.0f} B"


def amount(count: float | None) -> str:
    """A count of parameters, or another large number: 8.03 B, 917 k."""
    if count is None:
        return NOT_MEASURED
    for scale, unit in ((1e9, "B"), (1e6, "M"), (1e3, "k")):
        if count >= scale:
            return f"{_three_digits(count / scale)} {unit}"
    return f"{count:,.0f}"


def rate(per_second: float | None) -> str:
    """Something per second."""
    return NOT_MEASURED if per_second is None else f"{_three_digits(per_second)}/s"


def times(ratio: float) -> str:
    """A ratio of 1 or more, as a number."""
    return f"{ratio:,.0f}" if ratio >= 10 else f"{ratio:.1f}"


def _three_digits(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def ratio_phrase(ratio: float | None, noun: str, better: str, worse: str, equal: str) -> str | None:
    """A ratio in a sentence; above 1 the student is better."""
    if not ratio:
        return None
    if 0.95 <= ratio <= 1.05:
        return equal
    return f"{times(ratio)} times {better} {noun}" if ratio > 1 else f"{times(1 / ratio)} times {worse} {noun}"


def ratio_label(ratio: float | None, better: str, worse: str) -> str:
    """The same ratio in a table's cell."""
    if not ratio:
        return DASH
    if 0.95 <= ratio <= 1.05:
        return "about the same"
    return f"{times(ratio)}× {better}" if ratio > 1 else f"{times(1 / ratio)}× {worse}"
