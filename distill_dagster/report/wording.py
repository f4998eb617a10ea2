"""A report's numbers as people read them: percentages, times, sizes, ratios, and the verdict in a sentence.

    percent(0.9713)                97.1 %
    percent_range(0.95, 0.992)     95.0–99.2
    duration(41.03)                41.0 ms
    size(3_704_120)                3.7 MB
    ratio_phrase(11.2, "parameters", "fewer", "more", "as many parameters")    11 times fewer parameters

Every function takes None for a number that there is not, and writes a dash.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

DASH = "–"
ROLES = ("teacher", "student", "baseline")
METRIC_NAMES = {
    "accuracy": "accuracy",
    "macro_f1": "macro F1",
    "exact_match": "exact match",
    "token_f1": "token F1",
    "rouge_l": "ROUGE-L",
    "rouge_1": "ROUGE-1",
    "rouge_2": "ROUGE-2",
    "distinct_2": "distinct-2",
}
Document = Mapping[str, Any]


def percent(value: float | None) -> str:
    """A share with one decimal; 0.04 % and the like are not rounded to nothing."""
    if value is None:
        return DASH
    return f"{value * 100:.2f} %" if 0 < abs(value) < 0.0005 else f"{value * 100:.1f} %"


def percent_range(low: float | None, high: float | None) -> str:
    """Two shares without the unit."""
    return DASH if low is None or high is None else f"{low * 100:.1f}{DASH}{high * 100:.1f}"


def duration(milliseconds: float | None) -> str:
    """Three significant digits in ms, from 10 s on in s."""
    if milliseconds is None:
        return DASH
    if milliseconds >= 10_000:
        return f"{milliseconds / 1000:.1f} s"
    decimals = 0 if milliseconds >= 100 else 1 if milliseconds >= 10 else 2
    return f"{milliseconds:,.{decimals}f} ms"


def size(count: float | None) -> str:
    """Bytes in powers of 1,000."""
    if count is None:
        return DASH
    for scale, unit in ((1e12, "TB"), (1e9, "GB"), (1e6, "MB"), (1e3, "kB")):
        if count >= scale:
            return f"{_three_digits(count / scale)} {unit}"
    return f"{count:.0f} B"


def amount(count: float | None) -> str:
    """A count of parameters, or another large number: 8.03 B, 917 k."""
    if count is None:
        return DASH
    for scale, unit in ((1e9, "B"), (1e6, "M"), (1e3, "k")):
        if count >= scale:
            return f"{_three_digits(count / scale)} {unit}"
    return f"{count:,.0f}"


def rate(per_second: float | None) -> str:
    """Something per second."""
    return DASH if per_second is None else f"{_three_digits(per_second)}/s"


def times(ratio: float) -> str:
    """A ratio of 1 or more, as a number."""
    return f"{ratio:,.0f}" if ratio >= 10 else f"{ratio:.1f}"


def _three_digits(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def ratio_phrase(ratio: float | None, noun: str, better: str, worse: str, equal: str) -> str | None:
    """How a ratio that is above 1 where the student is better reads in a sentence."""
    if not ratio:
        return None
    if 0.95 <= ratio <= 1.05:
        return equal
    return f"{times(ratio)} times {better} {noun}" if ratio > 1 else f"{times(1 / ratio)} times {worse} {noun}"


def ratio_label(ratio: float | None, better: str, worse: str) -> str:
    """How the same ratio reads in a table's cell."""
    if not ratio:
        return DASH
    if 0.95 <= ratio <= 1.05:
        return "about the same"
    return f"{times(ratio)}× {better}" if ratio > 1 else f"{times(1 / ratio)}× {worse}"


def headline(retention: Mapping[str, Any], ratios: Mapping[str, float | None]) -> str:
    """The report in one sentence."""
    if retention["value"] is None:
        return f"What the student keeps of the teacher's score cannot be said: {retention['reason']}."
    interval = percent_range(retention["low"], retention["high"])
    sure = "no 95 % interval" if interval == DASH else f"95 % interval {interval}"
    phrases = [
        ratio_phrase(ratios["parameters"], "parameters", "fewer", "more", "as many parameters"),
        ratio_phrase(ratios["latency"], "latency", "lower", "higher", "the same latency"),
    ]
    cost = " and ".join(phrase for phrase in phrases if phrase)
    return f"The student keeps {percent(retention['value'])} ({sure}) of the teacher's score" + (
        f" with {cost}." if cost else "."
    )


def verdict_text(verdict: Mapping[str, Any], retention: Mapping[str, Any], items: int) -> str:
    """Why the verdict is what it is, and what to do where it is open."""
    target = percent(verdict["target"])
    if retention["low"] is None or retention["high"] is None:
        return f"The target of {target} can be neither confirmed nor ruled out: {verdict['reason']}."
    interval = f"95 % interval of the retention, {percent_range(retention['low'], retention['high'])} %,"
    if verdict["verdict"] == "PASS":
        return f"The whole {interval} is at or above the target of {target}."
    if verdict["verdict"] == "FAIL":
        return f"The whole {interval} is below the target of {target}."
    text = f"The {interval} contains the target of {target}."
    if verdict["items_needed"] is None:
        return f"{text} The estimate lies on the target, so no number of items can be named that would decide."
    return f"{text} About {_rounded(verdict['items_needed'])} held-out items would decide it; there are {items:,}."


def _rounded(count: int) -> str:
    """An estimate to two significant digits, never below the count."""
    step = 10 ** max(len(str(count)) - 2, 0)
    return f"{-(-count // step) * step:,}"


def mcnemar_text(document: Document) -> str:
    """Student against teacher, item by item."""
    test = document["mcnemar"]
    if test is None:
        return "Scores of this task are fractions, so McNemar's test does not apply."
    p = "p < 0.001" if test["p_value"] < 0.001 else f"p = {test['p_value']:.3f}"
    return (
        f"Of {document['items']:,} items, only the teacher got {test['only_teacher']:,} right, and only the student "
        f"{test['only_student']:,} (McNemar's exact test, {p})."
    )


def score_cell(benchmark: Mapping[str, Any]) -> str:
    """A model's score with its interval."""
    return f"{percent(benchmark['score'])} ({percent_range(*benchmark['interval'])})"


@dataclass(frozen=True, slots=True)
class Measure:
    """A line of the comparison: how a benchmark's cell reads, and which ratio compares student and teacher."""

    label: str
    cell: Callable[[Mapping[str, Any]], str]
    ratio: str | None = None  # in the document's `ratios`
    better: str = ""
    worse: str = ""


COST_MEASURES = (
    Measure("Latency p50", lambda b: duration(b["speed"]["latency_ms"]["p50"]), "latency_p50", "faster", "slower"),
    Measure("Latency p95", lambda b: duration(b["speed"]["latency_ms"]["p95"]), "latency_p95", "faster", "slower"),
    Measure("Latency p99", lambda b: duration(b["speed"]["latency_ms"]["p99"]), "latency_p99", "faster", "slower"),
    Measure(
        "Time to first token, p50",
        lambda b: duration(b["speed"]["first_token_ms"]["p50"]),
        "first_token",
        "faster",
        "slower",
    ),
    Measure(
        "Tokens while decoding",
        lambda b: rate(b["speed"]["tokens_per_second"]),
        "tokens_per_second",
        "faster",
        "slower",
    ),
    Measure("Peak memory", lambda b: size(b["memory"]["peak_bytes"]), "peak_memory", "smaller", "larger"),
    Measure("Weights in memory", lambda b: size(b["memory"]["weight_bytes"]), "weights", "smaller", "larger"),
    Measure("Bytes on disk", lambda b: size(b["bytes_on_disk"]), "bytes_on_disk", "smaller", "larger"),
    Measure("Parameters", lambda b: amount(b["parameters"]), "parameters", "fewer", "more"),
    Measure("Unparsable answers", lambda b: f"{b['unparsable']:,}"),
    Measure("Answers cut off", lambda b: f"{b['truncated']:,}"),
    Measure("Prompts not answered", lambda b: f"{b['failed']:,}"),
)


def _task_measures(document: Document) -> list[Measure]:
    """A line for each metric of each task."""
    return [
        Measure(
            f"{task}: {METRIC_NAMES.get(metric, metric)}",
            lambda b, task=task, metric=metric: percent(b["by_task"][task]["metrics"][metric]),
        )
        for task, metric in document["metrics"]
    ]


def comparison_rows(document: Document) -> list[tuple[str, str, str, str, str]]:
    """Lines of the report's table: label, teacher, student, baseline, student against teacher."""
    teacher, student, baseline = (document["benchmarks"][role] for role in ROLES)
    kept = document["retention"]["value"]
    rows = [
        (
            "Score (95 % interval)",
            score_cell(teacher),
            score_cell(student),
            score_cell(baseline),
            f"keeps {percent(kept)}" if kept is not None else DASH,
        )
    ]
    for m in [*_task_measures(document), *COST_MEASURES]:
        versus = ratio_label(document["ratios"][m.ratio], m.better, m.worse) if m.ratio else ""
        rows.append((m.label, m.cell(teacher), m.cell(student), m.cell(baseline), versus))
    return rows


def summary_rows(document: Document) -> list[tuple[str, str, str, str]]:
    """The report in lines of (label, teacher, baseline, student), for a terminal or Dagster's metadata."""
    rows = [(label, teacher, baseline, student) for label, teacher, student, baseline, _ in comparison_rows(document)]
    estimates = [("Retention", document["retention"]), ("Gap recovered", document["gap_recovered"])]
    rows[1:1] = [(f"{name} (95 % interval)", "", "", estimate_cell(e)) for name, e in estimates]
    return rows


def estimate_cell(estimate: Mapping[str, Any]) -> str:
    """A ratio with its interval."""
    if estimate["value"] is None:
        return DASH
    return f"{percent(estimate['value'])} ({percent_range(estimate['low'], estimate['high'])})"


def flat_rows(value: Any, path: str = "") -> list[tuple[str, str]]:
    """Nested JSON as rows of (dotted path, text); a list of plain values is one row."""
    if isinstance(value, Mapping) and value:
        return [row for key, inner in value.items() for row in flat_rows(inner, f"{path}.{key}" if path else str(key))]
    if isinstance(value, list) and any(isinstance(inner, Mapping | list) for inner in value):
        return [row for i, inner in enumerate(value) for row in flat_rows(inner, f"{path}[{i}]")]
    if isinstance(value, list):
        return [(path, ", ".join(_plain(inner) for inner in value) or DASH)]
    return [(path, _plain(value))]


def _plain(value: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:,}"
    return f"{value:,.6g}" if isinstance(value, float) else json.dumps(value)
