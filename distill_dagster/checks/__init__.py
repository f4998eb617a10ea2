"""The checks of the artefacts: of each shard, the validated set, the student, the report, the release and exports.

    enough_valid_rows      raw_dataset[train-part-01]       "31 of 91 rows are valid (34.1%); at least 90.0% are wanted"
    few_refusals           teacher_outputs[train-part-03]   "9 of 90 answers decline (10.0%); at most 5.0% are allowed"
    no_leakage             validated_synthetic_set          "0 of 1,830 training rows ask what a held-out row asks"

A check reads only what is published, so that it finds the same in the same artefact every time. The config decides
which checks block what follows (`checks.severity`). assets/checks.py turns them into Dagster's asset checks.
"""

from distill_dagster.checks import answers, exports, models, release, row_ids, rows, synthetic_set
from distill_dagster.checks.base import Check, Finding, Inspection
from distill_dagster.config import DistillConfig
from distill_dagster.lineage.stages import stages_of

__all__ = ["CHECKS", "Check", "Finding", "Inspection", "checks_of"]

CHECKS: tuple[Check, ...] = (
    *rows.CHECKS,
    *row_ids.CHECKS,
    *answers.CHECKS,
    *synthetic_set.CHECKS,
    *models.CHECKS,
    *release.CHECKS,
    *exports.CHECKS,
)


def checks_of(config: DistillConfig) -> list[Check]:
    """The checks of the stages that a project with this config has, without those that it switches off."""
    stages = {stage.name for stage in stages_of(config)}
    own = (check for check in CHECKS if check.asset in stages and check.wanted(config))
    return [check for check in own if check.severity_in(config) != "off"]
