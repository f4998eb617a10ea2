"""The tables of a model card: rows of a few cells each, from what the artefacts report."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from distill_dagster.config import MeasuredRole
from distill_dagster.quality.filters.in_words import in_order, titled
from distill_dagster.release.findings import LicenceFinding
from distill_dagster.release.made import GOLD_STUDENT, LINEAGE, Made
from distill_dagster.report.costs import Costs, spent_rows
from distill_dagster.report.hyperparameters import hyperparameters
from distill_dagster.report.numbers import percent, percent_range
from distill_dagster.report.provenance import package_version

Row = tuple[str, ...]
MODELS: dict[MeasuredRole, str] = {
    "teacher": "teacher",
    "baseline": "student before distillation",
    "student": "this student",
    "gold_student": "student of gold answers alone",
}


def scores(made: Made) -> Iterator[Row]:
    """Task, metric, and the score of each model of the report with its 95 % interval."""
    models = made.document.models.values()
    for task, score in made.measured.by_task.items():
        cells = [_score(found) for model in models if (found := model.by_task.get(task))]
        yield (task, score.headline, *cells, f"{score.items:,}")


def score_columns(made: Made) -> list[str]:
    """The heads of the columns of `scores`."""
    return ["task", "metric", *(MODELS[role] for role in made.document.models), "items"]


def _score(found: Any) -> str:
    return f"{percent(found.score)} ({percent_range(*found.interval)})"


def models(made: Made) -> Iterator[Row]:
    """The models of the lineage, each with its revision."""
    base, faculty = made.base_ref, made.faculty
    yield "student before distillation", base.name, base.revision
    if made.base.cut:
        yield "cut out of the teacher", made.base.cut.words, made.base.cut.revision
    for _, ref in faculty.teachers:
        yield "teacher", ref.name, ref.revision
    for ref in faculty.panel:
        yield "teacher of the panel", ref.name, ref.revision
    if faculty.judge:
        yield "judge", faculty.judge.name, faculty.judge.revision


def artefacts(made: Made) -> Iterator[Row]:
    """What the student was made from and measured by: the hash of the content, the version, and the time."""
    for name in LINEAGE:
        manifest = made.manifests[name]
        yield name, manifest.data_version, manifest.version, manifest.created_at


def data(made: Made) -> Iterator[Row]:
    """How many answers became examples, and why the others did not."""
    counts, trained = made.examples.counts, made.student.counts
    yield "answers of the teacher", f"{counts.teacher_rows:,}"
    for reason, count in in_order(counts.by_reason).items():
        yield f"refused: {titled(reason)}", f"{count:,}"
    yield "examples for training", f"{counts.train:,}"
    yield "examples for validation", f"{counts.validation:,}"
    yield "rows that trained", f"{trained.train_rows:,}"
    yield "rows too long to train", f"{trained.too_long:,}"
    yield "rows that the chat template refused", f"{trained.E015:,}"
    yield "tokens that trained", f"{trained.train_tokens:,}"


def training(made: Made) -> Iterator[Row]:
    """The objective, every setting, and how the training ended."""
    yield from hyperparameters(made.student)


def cost(made: Made) -> Iterator[Row]:
    """What was paid for, and the time of each stage on its devices; the gold student is only compared."""
    costs = Costs.of(manifest for manifest in made.manifests.values() if manifest.asset not in GOLD_STUDENT)
    yield from spent_rows(costs)
    for stage in costs.times:
        yield stage.stage, stage.words


def licences(found: Sequence[LicenceFinding]) -> Iterator[Row]:
    """The terms of each model that others made."""
    for finding in found:
        licence = finding.licence
        terms = f"{licence.licence}, {licence.source}" if licence else "unknown"
        yield finding.role, finding.name, terms, licence.clause if licence else "checked by the releaser"


def versions(made: Made) -> Iterator[Row]:
    """This package, and the libraries that trained the student."""
    yield "distill-dagster", package_version()
    usage = made.student.usage
    yield from (usage.versions if usage else {}).items()


PARTS: dict[str, Callable[[Made], Iterator[Row]]] = {  # the template's names
    "scores": scores,
    "models": models,
    "artefacts": artefacts,
    "data": data,
    "training": training,
    "cost": cost,
    "versions": versions,
}
