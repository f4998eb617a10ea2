"""The report's document, typed; report.json is this and nothing else. Worked example (shortened):

{"project": "support-intents", "items": 400,
 "headline": "The student keeps 97.1 % (95 % interval 95.0–99.2) of the teacher's score with …",
 "verdict": {"verdict": "PASS", "target": 0.92, "reason": "…", "items_needed": null, "text": "…"},
 "retention": {"value": 0.971, "low": 0.95, "high": 0.992, …}, "gap_recovered": {…}, "mcnemar": {…},
 "ratios": {"parameters": 11.2, "latency": 4.2, …}, "benchmarks": {"teacher": {…}, …}, "classes": […],
 "examples": […], "lineage": {…}, "history": […], "notes": ["…"]}
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, TypeVar

from pydantic import BaseModel, Field, ValidationError

from distill_dagster.config import ROLES, EvaluationConfig, MeasuredRole, Role, VerdictWord
from distill_dagster.errors import DataError
from distill_dagster.evaluation.agreement import Agreement
from distill_dagster.evaluation.comparison import McNemar, RatioEstimate
from distill_dagster.evaluation.confusions import ConfusionTable
from distill_dagster.evaluation.differences import Difference, TaskDifference
from distill_dagster.evaluation.earlier import AgainstEarlier
from distill_dagster.evaluation.judging.specs import JudgementTable
from distill_dagster.evaluation.slices import Slice
from distill_dagster.evaluation.specs import Benchmark
from distill_dagster.evaluation.speed.specs import SpeedDocument, TimedRatio
from distill_dagster.report.costs import Costs
from distill_dagster.report.funnel import Funnel
from distill_dagster.report.specs import DataCost, Provenance
from distill_dagster.tuning.specs import Trial

SCHEMA_VERSION = 2  # of report.json; docs/report.md lists them


class StatedVerdict(BaseModel, frozen=True):
    """The verdict, the target that it is about, and both in words."""

    verdict: VerdictWord
    target: float
    reason: str
    items_needed: int | None
    text: str


class Ratios(BaseModel, frozen=True):
    """How many times better the student is than the teacher: below 1 it is worse.

    None is not comparable, or withheld; `ReportDocument.speed` says why, and has the intervals.
    """

    parameters: float | None
    latency: float | None  # the median's
    latency_p50: float | None
    latency_p95: float | None
    latency_p99: float | None
    first_token: float | None
    tokens_per_second: float | None
    peak_memory: float | None
    weights: float | None
    bytes_on_disk: float | None


Outcome = Literal["met", "not met", "undecided", "withheld"]


class LessonRow(BaseModel, frozen=True):
    """One target of the lesson: what was measured, or why nothing is said of it."""

    what: str
    target: str
    measured: str
    outcome: Outcome


class ScoredText(BaseModel, frozen=True):
    """What a model wrote, and its score; 0 for an answer that was cut off."""

    text: str
    score: float
    is_cut_off: bool = Field(default=False, exclude_if=lambda is_cut_off: not is_cut_off)


class ExamplePair(BaseModel, frozen=True):
    """One prompt that teacher and student answered differently."""

    row_id: str
    turn: int
    task: str
    question: str | None
    reference: list[str]
    teacher: ScoredText
    student: ScoredText


class ClassScore(BaseModel, frozen=True):
    """One model's scores on one label.

    `support` is the number of answers whose gold label it is; `precision` is None if the model never gave the label.
    """

    precision: float | None
    recall: float | None
    f1: float
    support: int


class LabelScores(BaseModel, frozen=True):
    """The three models on one label."""

    label: str
    teacher: ClassScore
    baseline: ClassScore
    student: ClassScore


class ClassTable(BaseModel, frozen=True):
    """Every gold label of one task, sorted by name."""

    task: str
    labels: list[LabelScores]


class GoldStudent(BaseModel, frozen=True):
    """The same student trained on gold answers alone, and whether the teacher added anything, in words too."""

    benchmark: Benchmark
    difference: Difference  # the distilled student minus this one
    gold_rows: int  # that this one was trained on
    student_rows: int  # that the distilled one was trained on
    text: str

    @property
    def is_better(self) -> bool:
        """Whether the whole interval says that gold answers alone give a better student."""
        return self.difference.high < 0


class ReportDocument(BaseModel, frozen=True):
    """Everything that the report says.

    A field that later versions added has a default, so that older documents read. `schema_version` rises with each
    change after which an older reader would read a document wrongly, or not find what it says.
    """

    schema_version: int = 1  # missing from documents of the first schema
    project: str
    headline: str
    verdict: StatedVerdict
    items: int
    retention: RatioEstimate
    gap_recovered: RatioEstimate
    mcnemar: McNemar | None
    ratios: Ratios
    metrics: list[tuple[str, str]]  # (task, metric)
    benchmarks: dict[Role, Benchmark]
    classes: list[ClassTable] = []  # missing from reports of earlier versions, as are the next three
    confusions: list[ConfusionTable] = []
    slices: list[Slice] = []
    agreement: list[Agreement] = []
    examples: list[ExamplePair]
    lineage: Provenance
    history: list[dict[str, Any]]  # the trainer's log as it wrote it
    trials: list[Trial] = Field(default=[], exclude_if=lambda trials: not trials)  # of a sweep
    judgement: JudgementTable | None = Field(default=None, exclude_if=lambda judgement: judgement is None)
    gold_student: GoldStudent | None = Field(default=None, exclude_if=lambda found: found is None)
    evaluation: EvaluationConfig
    notes: list[str]
    weak_teacher: str | None = None  # a warning to be read before anything else; missing from earlier reports
    to_teacher: Difference | None = None  # S - T; this and what follows are missing from earlier reports
    to_baseline: Difference | None = None  # S - B
    tasks: list[TaskDifference] = []  # S - T by task
    against_released: AgainstEarlier | None = None  # missing from earlier reports, and where nothing was released
    against_earlier: AgainstEarlier | None = None
    fall: str | None = None  # a warning beside the verdict: tasks that one of these did significantly better
    speed: SpeedDocument | None = None  # its rounds without their turns; missing from earlier reports
    lesson: list[LessonRow] = []
    data_cost: DataCost | None = None
    funnel: Funnel | None = None  # this and what follows are missing from documents of schema 1
    costs: Costs | None = None
    hyperparameters: list[tuple[str, str]] = []

    @property
    def models(self) -> dict[MeasuredRole, Benchmark]:
        """The benchmarks in the order of the tables' columns; the gold student's comes last, if there is one."""
        return in_order(self.benchmarks, self.gold_student and self.gold_student.benchmark)

    def latency_p50(self, name: str) -> float | None:
        """A model's median latency in milliseconds, with one request in flight; None: not measured."""
        model = self.speed.model(name) if self.speed else None
        level = model.level(1) if model else None
        return level.latency_ms.p50 if level else None

    @property
    def headline_ratios(self) -> list[TimedRatio]:
        """The student's latency alone, and its answers and cost at the highest concurrency, against the teacher's."""
        if self.speed is None:
            return []
        most = self.speed.most_concurrency
        found = [
            self.speed.ratio("latency"),
            self.speed.ratio("answers_per_second", most),
            self.speed.ratio("cost", most),
        ]
        return [ratio for ratio in found if ratio is not None]

    def as_json(self) -> dict[str, Any]:
        """The document as JSON-able values."""
        return self.model_dump(mode="json")


def in_order(benchmarks: Mapping[Role, Benchmark], gold_student: Benchmark | None) -> dict[MeasuredRole, Benchmark]:
    """The benchmarks in the order of the tables' columns."""
    found: dict[MeasuredRole, Benchmark] = {role: benchmarks[role] for role in ROLES}
    if gold_student:
        found["gold_student"] = gold_student
    return found


def read_verdict(path: Path) -> StatedVerdict:
    """The verdict in a report.json; DataError as `read_document`."""
    return _valid(StatedVerdict, _read(path).get("verdict"), path)


def read_document(path: Path) -> ReportDocument:
    """The document in a report.json.

    Raises:
        DataError: a later version of this package wrote it, with another schema.
    """
    return _valid(ReportDocument, _read(path), path)


M = TypeVar("M", bound=BaseModel)


def _valid(kind: type[M], value: Any, path: Path) -> M:
    try:
        return kind.model_validate(value)
    except ValidationError as e:
        first = e.errors()[0]
        raise _damaged(path, f"{'.'.join(map(str, first['loc']))}: {first['msg']}") from e


def _damaged(path: Path, why: str) -> DataError:
    return DataError(f"{path} is no report of this package ({why}): materialize eval_report again")


def _read(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as e:
        raise _damaged(path, "it is not JSON") from e
    if not isinstance(found, dict):
        raise _damaged(path, "it is no object")
    schema = found.get("schema_version", 1)
    if not isinstance(schema, int):
        raise _damaged(path, "its schema_version is no number")
    if schema > SCHEMA_VERSION:
        raise DataError(
            f"{path} has schema version {schema}, and this version of distill-dagster reads up to {SCHEMA_VERSION}: "
            "update it, or materialize eval_report again"
        )
    return found
