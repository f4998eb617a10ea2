"""The tables of a model card: rows of a few cells each, from what the artefacts report."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from importlib.metadata import version
from typing import Any

from distill_dagster.config import ROLES
from distill_dagster.config.signals import OBJECTIVES
from distill_dagster.release.findings import LicenceFinding
from distill_dagster.release.made import LINEAGE, Made
from distill_dagster.report.numbers import percent, percent_range
from distill_dagster.teachers.money import usd

Row = tuple[str, ...]


def scores(made: Made) -> Iterator[Row]:
    """Task, metric, and the score of each model with its 95 % interval."""
    benchmarks = made.document.benchmarks
    for task, score in made.measured.by_task.items():
        cells = [_score(found) for role in ROLES if (found := benchmarks[role].by_task.get(task))]
        yield (task, score.headline, *cells, f"{score.items:,}")


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
    for reason, count in counts.by_reason.items():
        if count:
            yield f"refused: {reason}", f"{count:,}"
    yield "examples for training", f"{counts.train:,}"
    yield "examples for validation", f"{counts.validation:,}"
    yield "rows that trained", f"{trained.train_rows:,}"
    yield "rows too long to train", f"{trained.too_long:,}"
    yield "rows that the chat template refused", f"{trained.E015:,}"
    yield "tokens that trained", f"{trained.train_tokens:,}"


def training(made: Made) -> Iterator[Row]:
    """The objective, every setting, and how the training ended."""
    result = made.student
    yield "objective", str(result.training.get("loss", ""))
    yield "signal", str(result.training.get("signal", ""))
    for name, value in result.training.items():
        if name not in (*OBJECTIVES, "loss") and value is not None:
            yield from _settings(name, value)
    for name, value in result.found.items():
        yield f"found by the sweep: {name}", str(value)
    yield "precision", result.dtype
    yield "trained weights", f"{result.trainable_parameters:,}" if result.trainable_parameters else "not recorded"
    yield "steps", f"{result.steps:,}"
    if result.best_validation_loss is not None:
        yield "lowest validation loss", f"{result.best_validation_loss:.4g}"
    yield "kept weights", result.kept
    if result.stopped:
        yield "stopped early", result.stopped.words


def _settings(name: str, value: Any) -> Iterator[Row]:
    """A setting, or those of a section under `section.field`."""
    if isinstance(value, Mapping):
        for inner, found in value.items():
            yield from _settings(f"{name}.{inner}", found)
    else:
        yield name, str(value)


def cost(made: Made) -> Iterator[Row]:
    """What the teacher's answers cost, and the time of each stage on its devices."""
    answers = made.answers
    if any(result.billing == "priced" for result in answers):
        yield "the teacher's answers", usd(sum(result.table_cost_usd for result in answers))
    for stage, used in made.usage().items():
        devices = " and ".join(dict.fromkeys(usage.device for usage in used))
        gpu = sum(usage.gpu_seconds for usage in used)
        spent = f"{gpu:,.1f} GPU-seconds" if gpu else f"{sum(usage.seconds for usage in used):,.1f} s"
        yield stage, f"{spent} on {devices}"


def licences(found: Sequence[LicenceFinding]) -> Iterator[Row]:
    """The terms of each model that others made."""
    for finding in found:
        licence = finding.licence
        terms = f"{licence.licence}, {licence.source}" if licence else "unknown"
        yield finding.role, finding.name, terms, licence.clause if licence else "checked by the releaser"


def versions(made: Made) -> Iterator[Row]:
    """This package, and the libraries that trained the student."""
    yield "distill-dagster", version("distill-dagster")
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
