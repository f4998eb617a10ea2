"""Where the student comes from, in sentences.

The student of support-desk was trained from llama-145k (revision 5f1c0d2e9a41) on 1,660 examples on 27 November
2026. They were made from the answers of llama-1.2M (revision 77aa01c3d5be) to the rows of 5 shards. …
"""

from collections.abc import Iterator
from datetime import date
from importlib.metadata import version
from typing import Any

from distill_dagster.report.specs import Origin, Provenance

REVISION_CHARACTERS = 12  # the key list has all of them


def provenance_sentences(lineage: Provenance) -> list[str]:
    """How the student was made, what measured it, and by which commit and version."""
    return list(_sentences(lineage))


def _sentences(lineage: Provenance) -> Iterator[str]:
    student, made_set = lineage.student_checkpoint, lineage.validated_synthetic_set
    examples = _counted(student, "train_rows", "example")
    objective = (student.model_extra or {}).get("loss")
    yield (
        f"The student of {lineage.name} was trained from {_named(lineage.student_base)}{_on(examples)} on "
        f"{day(student.created_at)}" + (f"; its objective was {objective}." if objective else ".")
    )
    yield (
        f"The set of examples was made on {day(made_set.created_at)} from the answers of "
        f"{lineage.teachers or _named(lineage.teacher_model)} to the rows of {_plural(lineage.shards, 'shard')}."
    )
    held_out = _counted(lineage.eval_dataset, "rows", "held-out row") or "the held-out rows"
    yield f"It was measured on {held_out}, as they were on {day(lineage.eval_dataset.created_at)}."
    if lineage.commit:
        changed = " with changes that were not committed" if lineage.commit.endswith("-dirty") else ""
        yield f"The project's repository was at commit {lineage.commit.removesuffix('-dirty')}{changed}."
    if lineage.package:
        yield f"distill-dagster {lineage.package} wrote this report."


def day(time: str) -> str:
    """The date of an ISO time, such as 27 November 2026."""
    found = date.fromisoformat(time[:10])
    return f"{found.day} {found:%B %Y}"


def named(name: str, revision: str | None) -> str:
    """A model with the beginning of its revision."""
    return f"{name} (revision {revision[:REVISION_CHARACTERS]})" if revision else name


def package_version() -> str:
    """The installed version of this package."""
    return version("distill-dagster")


def _named(origin: Origin) -> str:
    return named(origin.model or "a model without a name", origin.revision)


def _on(examples: str | None) -> str:
    return f" on {examples}" if examples else ""


def _counted(origin: Origin, key: str, noun: str) -> str | None:
    count: Any = (origin.model_extra or {}).get(key)
    return _plural(count, noun) if isinstance(count, int) else None


def _plural(count: int, noun: str) -> str:
    return f"{count:,} {noun}" + ("" if count == 1 else "s")
