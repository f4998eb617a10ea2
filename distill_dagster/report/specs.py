"""What the worker that writes the report takes, and what it says of the report."""

from typing import Any

from pydantic import BaseModel, Field, SerializerFunctionWrapHandler, model_serializer

from distill_dagster.config import EvaluationConfig, Role, Section, VerdictWord
from distill_dagster.report.costs import Costs, Spent
from distill_dagster.report.funnel import Funnel
from distill_dagster.store.result import Counts, Result, Spec


def _is_none(value: object) -> bool:
    return value is None


class Origin(BaseModel, frozen=True, extra="allow"):
    """One artefact that the student was made from; the artefact's counts follow as keys of their own."""

    data_version: str
    created_at: str
    model: str | None = None  # the model's name; left out of artefacts that hold none
    launchpad: dict[str, Any] | None = None  # settings in which its run differed from distill.yaml; left out if none
    revision: str | None = None  # of the model; missing from reports of earlier versions
    stopped: str | None = None  # why the training that made it stopped early; left out if it did not

    @model_serializer(mode="wrap")
    def _without_missing(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        return {key: value for key, value in handler(self).items() if value is not None}


class Provenance(BaseModel, frozen=True):
    """Which data and which models made the student."""

    name: str  # of the project
    shards: int
    teacher_model: Origin
    validated_synthetic_set: Origin
    student_base: Origin
    student_checkpoint: Origin
    eval_dataset: Origin
    gold_set: Origin | None = Field(default=None, exclude_if=_is_none)
    gold_student_checkpoint: Origin | None = Field(default=None, exclude_if=_is_none)
    teachers: str | None = Field(default=None, exclude_if=_is_none)  # who answered, in words, if several did
    commit: str | None = Field(default=None, exclude_if=_is_none)  # of the project's own repository, see commit.py
    package: str | None = Field(default=None, exclude_if=_is_none)  # version; missing from earlier reports


class EarlierReport(Section):
    """The report that the new one replaces."""

    folder: str
    created_at: str


class ReleasedScores(Section):
    """The student that was released when the report was made, and a parquet file with its scored items."""

    student: str
    released_at: str
    scores: str  # schemas.SCORE, of several students
    comparable: bool = True  # with the report's student: the same held-out rows, asked and scored in one way


class DataCost(BaseModel, frozen=True):
    """What the training data cost, whenever it was paid for, and how many training rows were accepted."""

    usd: float | None  # of all that has a price; None: nothing has one
    seconds: float
    rows: int
    spent: list[Spent] = []  # the answers, and the judge of `best_of`; empty in documents of earlier versions


class GoldStudentFiles(Section):
    """The gold student's benchmark, and how many rows the two students were trained on."""

    benchmark: str  # a folder that holds benchmark.json and predictions.parquet
    gold_rows: int
    student_rows: int


class ReportSpec(Spec):
    """Compare three benchmarks; the worker writes report.html, report.md and report.json into `out`."""

    project: str
    benchmarks: dict[Role, str]  # folders that hold benchmark.json and predictions.parquet
    speed: str | None = None  # speed.json
    shipped: str | None = None  # the export that is held against the targets beside the student
    data_cost: DataCost | None = None
    funnel: Funnel | None = None
    costs: Costs | None = None
    hyperparameters: list[tuple[str, str]] = []  # how the student was trained, in lines of (setting, value)
    history: str  # the student's history.json
    trials: str | None = None  # trials.parquet of a sweep
    rows: str  # the held-out rows, for the prompts of the examples and their lengths
    judgement: str | None = None  # judgement.json of a judge
    gold_student: GoldStudentFiles | None = None
    copied: list[str] | None = None  # ids of held-out rows that a training row copies
    evaluation: EvaluationConfig
    provenance: Provenance
    earlier: EarlierReport | None = None
    released: ReleasedScores | None = None
    out: str


class ReportCounts(Counts):
    """How many items the three models were compared on."""

    items: int


class ReportResult(Result[ReportCounts]):
    """What the report says of the student."""

    headline: str
    verdict: VerdictWord
    weak_teacher: str | None = None  # missing from reports of earlier versions
    fall: str | None = None  # likewise
