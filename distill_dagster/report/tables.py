"""The report's tables, each built once for the pages, the terminal and the Dagster UI."""

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from distill_dagster.config import ROLES, MeasuredRole
from distill_dagster.evaluation.differences import TaskDifference
from distill_dagster.evaluation.slices import FEWEST
from distill_dagster.evaluation.specs import Benchmark
from distill_dagster.report.document import ClassTable, Ratios, ReportDocument
from distill_dagster.report.numbers import (
    DASH,
    NOT_MEASURED,
    amount,
    percent,
    percent_range,
    ratio_label,
)
from distill_dagster.report.timing import MEASURES
from distill_dagster.report.wording import estimate_cell, p_text, points

if TYPE_CHECKING:
    import pandas as pd

METRIC_NAMES = {
    "accuracy": "accuracy",
    "macro_f1": "macro F1",
    "exact_match": "exact match",
    "token_f1": "token F1",
    "rouge_l": "ROUGE-L",
    "rouge_1": "ROUGE-1",
    "rouge_2": "ROUGE-2",
    "bleu": "BLEU",
    "distinct_2": "distinct-2",
    "symbolic_match": "symbolic match",
}


class ComparisonRow(NamedTuple):
    """One line of the comparison."""

    label: str
    cells: tuple[str, ...]  # in the order of `ReportDocument.models`
    versus: str  # student against teacher


@dataclass(frozen=True, slots=True)
class Measure:
    """One measured quantity: how its cell reads, and the ratio that compares student and teacher."""

    label: str
    cell: Callable[[Benchmark], str]
    ratio: Callable[[Ratios], float | None] | None = None
    better: str = ""
    worse: str = ""

    def row(self, document: ReportDocument) -> ComparisonRow:
        """The measure's line of the comparison."""
        versus = ratio_label(self.ratio(document.ratios), self.better, self.worse) if self.ratio else ""
        return ComparisonRow(self.label, tuple(map(self.cell, document.models.values())), versus)


_COUNT = ("fewer", "more")
COST_MEASURES = (
    Measure("Parameters", lambda b: amount(b.parameters), lambda r: r.parameters, *_COUNT),
    Measure("Unparsable answers", lambda b: f"{b.unparsable:,}"),
    Measure("Answers cut off", lambda b: f"{b.truncated:,}"),
    Measure("Prompts not answered", lambda b: f"{b.failed:,}"),
)


def task_table(document: ReportDocument) -> "pd.DataFrame":
    """Every metric of every task, 0 … 1: one row a (task, metric), one column a model."""
    import pandas as pd

    by_role = {
        role: {(task, metric): model.by_task[task].metrics[metric] for task, metric in document.metrics}
        for role, model in document.models.items()
    }
    index = pd.MultiIndex.from_tuples(document.metrics, names=["task", "metric"])
    return pd.DataFrame(by_role, index=index, columns=list(by_role))


def comparison_rows(document: ReportDocument) -> list[ComparisonRow]:
    """The lines of the report's main table: scores, then every task's metrics, then costs."""
    kept = document.retention.value
    score = ComparisonRow(
        "Score (95 % interval)",
        tuple(map(_score_cell, document.models.values())),
        f"keeps {percent(kept)}" if kept is not None else DASH,
    )
    tasks = [
        ComparisonRow(f"{task}: {METRIC_NAMES.get(metric, metric)}", tuple(map(percent, values)), "")
        for (task, metric), *values in task_table(document).itertuples(name=None)
    ]
    untimed = (DASH,) * (len(document.models) - len(ROLES))  # the gold student has the student's size
    timed = [
        ComparisonRow(measure.label, (*measure.cells(document), *untimed), measure.versus(document.speed))
        for measure in MEASURES
    ]
    return [score, *tasks, *timed, *(measure.row(document) for measure in COST_MEASURES)]


def _score_cell(benchmark: Benchmark) -> str:
    return f"{percent(benchmark.score)} ({percent_range(*benchmark.interval)})"


def summary_rows(document: ReportDocument) -> list[tuple[str, ...]]:
    """The comparison in lines of (label, teacher, baseline, student), for a terminal or Dagster's metadata.

    A line has a further cell if there is a gold student.
    """
    rows = [(row.label, *row.cells) for row in comparison_rows(document)]
    estimates = [("Retention", document.retention), ("Gap recovered", document.gap_recovered)]
    blank = ("",) * (len(document.models) - len(ROLES))
    rows[1:1] = [(f"{name} (95 % interval)", "", "", estimate_cell(found), *blank) for name, found in estimates]
    return rows


def task_rows(found: Iterable[TaskDifference]) -> list[tuple[str, ...]]:
    """Lines of (task, items, second's score, first's score, difference in points with its interval, Holm's p)."""
    return [
        (
            of.task,
            f"{of.difference.items:,}",
            percent(of.second),
            percent(of.first),
            points(of.difference),
            p_text(of.adjusted).removeprefix("p = ").removeprefix("p "),
        )
        for of in found
    ]


def class_rows(table: ClassTable) -> list[tuple[str, ...]]:
    """Lines of (label, items, teacher's F1, baseline's F1, student's precision, recall and F1).

    A label of fewer than `FEWEST` items has counts alone; report.json holds its scores.
    """
    import pandas as pd

    frame = pd.json_normalize([scores.model_dump() for scores in table.labels])
    shares = [f"{role}.f1" for role in ("teacher", "baseline")] + [
        f"student.{s}" for s in ("precision", "recall", "f1")
    ]
    enough = frame["student.support"] >= FEWEST
    cells = frame[shares].astype(object).where(frame[shares].notna(), None).map(percent)
    cells = cells.where(enough, "too few")
    items = frame["student.support"].map("{:,}".format)
    return list(pd.concat([frame["label"], items, cells], axis=1).itertuples(index=False, name=None))


def settings_rows(models: Mapping[MeasuredRole, Benchmark]) -> list[tuple[str, ...]]:
    """What the numbers were measured on: the label, and a cell for each model."""
    import pandas as pd

    parts = {"model", "dtype", "device", "versions"}
    columns = {role: dict(flat_rows(model.model_dump(include=parts))) for role, model in models.items()}
    labels = list(dict.fromkeys(label for found in columns.values() for label in found))
    frame = pd.DataFrame(columns, index=labels, columns=list(columns), dtype=object).fillna(DASH)
    return list(frame.itertuples(name=None))


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
    if value is None:
        return NOT_MEASURED
    return f"{value:,.6g}" if isinstance(value, float) else json.dumps(value, allow_nan=False)
