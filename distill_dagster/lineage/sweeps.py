"""A sweep that grows: with more trials and all else the same, it continues the study that is published."""

from distill_dagster.lineage.freshness import inputs_of
from distill_dagster.lineage.snapshot import Snapshot
from distill_dagster.lineage.stage import Inputs
from distill_dagster.store.manifest import Manifest


def shorter_sweep(look: Snapshot) -> Manifest | None:
    """The published sweep, if it differs from the present one only in that it has fewer trials; else None.

    Raises:
        NotPublishedError: an artefact that the sweep reads has not been made.
    """
    before = look.find("student_sweep")
    if before is None:
        return None
    present = inputs_of(look, "student_sweep")
    grows = before.inputs["sweep"]["trials"] < present["sweep"]["trials"]
    return before if grows and _but_for_trials(before.inputs) == _but_for_trials(present) else None


def _but_for_trials(inputs: Inputs) -> Inputs:
    return {**inputs, "sweep": {**inputs["sweep"], "trials": None}}
