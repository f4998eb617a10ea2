"""What a report is made from, as the worker reads it from the files that its spec names."""

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from distill_dagster.config import ROLES, EvaluationConfig, MeasuredRole, Role
from distill_dagster.errors import DataError
from distill_dagster.evaluation.earlier import items_of
from distill_dagster.evaluation.items import Groups, item_groups, item_scores
from distill_dagster.evaluation.judging.specs import JudgementTable, read_judgement
from distill_dagster.evaluation.specs import Benchmark
from distill_dagster.evaluation.speed.specs import SpeedDocument
from distill_dagster.report.costs import Costs
from distill_dagster.report.earlier import Earlier, read_earlier, read_released
from distill_dagster.report.funnel import Funnel
from distill_dagster.report.gold_student import GoldStudentScores
from distill_dagster.report.specs import DataCost, GoldStudentFiles, Provenance, ReportSpec
from distill_dagster.store import files, parquet
from distill_dagster.tuning.specs import Trial
from distill_dagster.tuning.table import read_trials

Row = Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class ReportParts:
    """The benchmarks of the models, and all else that a report shows.

    Raises:
        DataError: a role has no benchmark.
    """

    project: str
    benchmarks: Mapping[Role, Benchmark]
    predictions: Mapping[Role, Sequence[Row]]  # the rows of each role's predictions.parquet
    evaluation: EvaluationConfig
    provenance: Provenance
    history: Sequence[Mapping[str, Any]]  # the trainer's log
    rows: Sequence[Row] = ()  # the held-out raw rows; with them, the examples show the prompts
    trials: Sequence[Trial] = ()  # of a sweep
    copied: Collection[str] | None = None  # ids of held-out rows that a training row copies; None: not known
    judgement: JudgementTable | None = None  # what a judge says of the answers
    gold_student: GoldStudentScores | None = None  # the student trained on gold answers alone
    earlier: Earlier | None = None  # the student of the replaced report, on the same rows
    released: Earlier | None = None  # the released student, on the same rows
    incomparable: bool = False  # a student is released, and its scores were measured in another way
    speed: SpeedDocument | None = None
    shipped: str | None = None  # the export that is held against the lesson's targets, beside the student
    data_cost: DataCost | None = None
    funnel: Funnel | None = None
    costs: Costs | None = None
    hyperparameters: Sequence[tuple[str, str]] = ()

    def __post_init__(self) -> None:
        if missing := [role for role in ROLES if role not in self.benchmarks.keys() & self.predictions.keys()]:
            raise DataError(
                f"the report compares {', '.join(ROLES)}, and has no benchmark of {', '.join(missing)}; "
                f"materialize {', '.join(f'{role}_benchmark' for role in missing)}"
            )

    @cached_property
    def scores(self) -> dict[Role, dict[str, float]]:
        """The score of each row_id, by role."""
        return {role: item_scores(self.predictions[role]) for role in ROLES}

    @property
    def measured(self) -> dict[MeasuredRole, Sequence[Row]]:
        """The predictions of every model, also of the gold student if there is one."""
        found: dict[MeasuredRole, Sequence[Row]] = {role: self.predictions[role] for role in ROLES}
        if self.gold_student:
            found["gold_student"] = self.gold_student.predictions
        return found

    @cached_property
    def tasks(self) -> dict[str, str]:
        """The task of each row_id; as the groups, that of the student's predictions."""
        return {row["row_id"]: row["task"] for row in self.predictions["student"]}

    @cached_property
    def groups(self) -> Groups:
        """The group of each row_id that has one."""
        return item_groups(self.predictions["student"])

    @cached_property
    def items(self) -> list[Row]:
        """The items of the report (schemas.ITEM)."""
        return items_of(self.scores, self.groups, self.tasks)

    @property
    def labels(self) -> Sequence[str] | None:
        """The label set by which the answers were scored."""
        return self.benchmarks["teacher"].labels

    @cached_property
    def resampling(self) -> dict[str, Any]:
        """How intervals are computed: the keyword arguments of every comparison."""
        return {"resamples": self.evaluation.resamples, "seed": self.evaluation.seed, "groups": self.groups}


def read_parts(spec: ReportSpec) -> ReportParts:
    """Read the files that `spec` names.

    Raises:
        DataError: a role has no benchmark, or a table is torn.
    """
    folders: dict[Role, Path] = {role: Path(folder) for role, folder in spec.benchmarks.items()}
    return ReportParts(
        project=spec.project,
        benchmarks={role: _read_benchmark(folder) for role, folder in folders.items()},
        predictions={role: parquet.read_table(folder / files.PREDICTIONS_FILE) for role, folder in folders.items()},
        evaluation=spec.evaluation,
        provenance=spec.provenance,
        history=json.loads(Path(spec.history).read_text(encoding="utf-8")),
        rows=parquet.read_table(Path(spec.rows)),
        trials=read_trials(Path(spec.trials)) if spec.trials else (),
        copied=spec.copied,
        judgement=read_judgement(Path(spec.judgement)) if spec.judgement else None,
        gold_student=_read_gold_student(spec.gold_student) if spec.gold_student else None,
        earlier=read_earlier(spec.earlier, spec.provenance) if spec.earlier else None,
        released=read_released(spec.released, spec.earlier, spec.provenance) if spec.released else None,
        incomparable=spec.released is not None and not spec.released.comparable,
        speed=_read_speed(Path(spec.speed)) if spec.speed else None,
        shipped=spec.shipped,
        data_cost=spec.data_cost,
        funnel=spec.funnel,
        costs=spec.costs,
        hyperparameters=spec.hyperparameters,
    )


def _read_benchmark(folder: Path) -> Benchmark:
    return Benchmark.model_validate_json((folder / files.BENCHMARK_FILE).read_text(encoding="utf-8"))


def _read_gold_student(of: GoldStudentFiles) -> GoldStudentScores:
    folder = Path(of.benchmark)
    return GoldStudentScores(
        benchmark=_read_benchmark(folder),
        predictions=parquet.read_table(folder / files.PREDICTIONS_FILE),
        gold_rows=of.gold_rows,
        student_rows=of.student_rows,
    )


def _read_speed(path: Path) -> SpeedDocument:
    """The models' speed, each round without its turns: speed.json keeps them."""
    document = SpeedDocument.model_validate_json(path.read_text(encoding="utf-8"))
    return document.model_copy(update={"rounds": [one.model_copy(update={"turns": []}) for one in document.rounds]})
