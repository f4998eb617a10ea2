"""Whether the student can be exported, before it is trained: release/export/fitness.py has these checks."""

from collections.abc import Iterator

from distill_dagster.errors import UserError
from distill_dagster.lineage.exports import export_of
from distill_dagster.preflight.pending import Pending
from distill_dagster.preflight.requirement import LATER, Requirement
from distill_dagster.release.export.fitness import export_problems

OF = "export.formats"


def export_requirements(pending: Pending, *, whole: bool) -> Iterator[Requirement]:
    """What stands in the way of the pending exports. Without `whole`, transformers is not imported."""
    forms = [form for form in pending.config.export.formats if export_of(form) in pending.stages]
    if not forms:
        return
    if not whole:
        yield Requirement("export", OF, "not checked", f"{', '.join(forms)}; {LATER}")
        return
    try:
        problems = export_problems(pending.config)
    except UserError as e:  # the model's own requirement is an error, if the model is still needed
        yield Requirement("export", OF, "not checked", str(e))
        return
    if problems:
        yield Requirement("export", OF, "error", "; ".join(problems))
    else:
        yield Requirement("export", OF, "ok", ", ".join(forms))
