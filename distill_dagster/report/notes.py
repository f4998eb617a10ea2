"""What a reader must know before trusting a number."""

from collections.abc import Mapping
from typing import Any

from distill_dagster.config import MeasuredRole
from distill_dagster.evaluation.comparison import Comparison
from distill_dagster.evaluation.specs import Benchmark
from distill_dagster.evaluation.speed.specs import SpeedDocument
from distill_dagster.report.specs import Provenance
from distill_dagster.report.timing import speed_notes

FEW_REQUESTS = 100

Benchmarks = Mapping[MeasuredRole, Benchmark]


def notes_on(benchmarks: Benchmarks, compared: Comparison, speed: SpeedDocument | None = None) -> list[str]:
    """Sentences on what limits the scores, the two ratios, and the comparison of speed and memory."""
    teacher = benchmarks["teacher"]
    notes = []
    if teacher.unscored:
        notes.append(f"{teacher.unscored:,} held-out prompts have no reference; they were answered but not scored.")
    if teacher.sampling is not None:
        notes.append(_sampling_note(teacher.sampling))
    if len(teacher.by_task) > 1:
        notes.append(f"The score is the mean over the items of {len(teacher.by_task)} tasks with different metrics.")
    for name, estimate in (("Retention", compared.retention), ("Gap recovered", compared.gap_recovered)):
        if estimate.reason:
            notes.append(f"{name}: {estimate.reason}.")
        elif estimate.undefined:
            notes.append(
                f"{name}: {estimate.undefined:,} of {estimate.resamples:,} resamples have no ratio; they count "
                "against both ends of the interval."
            )
    return [*notes, *_difference_notes(benchmarks), *speed_notes(speed, FEW_REQUESTS)]


def _sampling_note(sampling: Mapping[str, Any]) -> str:
    """That the teacher was not measured greedily."""
    at = " and ".join(f"{name} {value}" for name, value in sampling.items())
    return (
        f"The teacher was measured at {at or 'the default temperature of its provider'}, as its endpoint does not "
        "accept 0; the other models were measured at 0. Its answers, and so its score, vary from call to call."
    )


def launchpad_notes(provenance: Provenance) -> list[str]:
    """A sentence if the student was trained with other settings than those of distill.yaml."""
    settings = provenance.student_checkpoint.launchpad
    if not settings:
        return []
    said = ", ".join(f"{name} {value}" for name, value in settings.items())
    return [f"The student was trained with settings of the launchpad instead of those of distill.yaml: {said}."]


def stop_notes(provenance: Provenance) -> list[str]:
    """A sentence if the student's training stopped early."""
    stopped = provenance.student_checkpoint.stopped
    return [f"The student's training ended early. {stopped[0].upper()}{stopped[1:]}."] if stopped else []


def _difference_notes(benchmarks: Benchmarks) -> list[str]:
    """What differs between the runs that scored the models."""
    return [
        f"The models were not measured alike: {what} differs ({values})."
        for what, values in _differences(benchmarks).items()
    ]


def _differences(benchmarks: Benchmarks) -> dict[str, str]:
    """Settings that bear on the comparison and are not the same for all roles, with the values by role."""
    names, models = [role.replace("_", " ") for role in benchmarks], benchmarks.values()
    values = {
        "the device": [model.device for model in models],
        "dtype": [model.dtype for model in models],
        "the prompting": [model.prompting for model in models],
        "the limit of new tokens": [model.max_new_tokens for model in models],
        **{
            f"the version of {name}": [model.versions.get(name) for model in models]
            for name in benchmarks["teacher"].versions
        },
    }
    return {
        what: ", ".join(f"{name} {_shown(value)}" for name, value in zip(names, found, strict=True))
        for what, found in values.items()
        if len(set(found)) > 1
    }


def _shown(value: object) -> str:
    return "not known" if value is None else str(value)
