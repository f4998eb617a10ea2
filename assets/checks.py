"""The checks of distill_dagster/checks as Dagster's asset checks, with the severity that the config gives each.

One whose severity is `error` blocks: the run that made a bad shard fails, and nothing that follows is made, by hand in
the same run, by `distill-dagster run` or by the automation, until the check passes. Which ones block is fixed when the
code location loads: a blocking check of severity WARN would still hold up the automation.
"""

from collections.abc import Iterator

import dagster as dg

from distill_dagster.assets.dataset import validated_synthetic_set
from distill_dagster.assets.partitions import shards
from distill_dagster.assets.publishing import explained
from distill_dagster.assets.raw_dataset import raw_dataset
from distill_dagster.assets.teacher import teacher_outputs
from distill_dagster.checks import Check, Finding, checks_of
from distill_dagster.config import DistillConfig, Severity, SeverityConfig
from distill_dagster.errors import UserError
from distill_dagster.lineage import settings
from distill_dagster.lineage.stages import STAGES
from distill_dagster.models.ref import read_ref
from distill_dagster.resources.compute import Compute
from distill_dagster.resources.project import ProjectResource
from distill_dagster.store import files
from distill_dagster.training.specs import TrialSpec

LEVELS = {"error": dg.AssetCheckSeverity.ERROR, "warn": dg.AssetCheckSeverity.WARN}
TRIAL = dg.AssetCheckKey(dg.AssetKey("student_checkpoint"), "loads_and_generates")


def build_checks(config: DistillConfig) -> list[dg.AssetChecksDefinition]:
    """Every check that the project has and has not switched off."""
    severity, own = config.checks.severity, checks_of(config)
    checks = [_checks_of(asset, own, severity) for asset in dict.fromkeys(check.asset for check in own)]
    if severity.loads_and_generates != "off":
        checks.append(_trial(severity.loads_and_generates))
    if severity.column_schema_change != "off":
        for table in (raw_dataset, teacher_outputs, validated_synthetic_set):  # a step each: none waits for another's
            checks += dg.build_column_schema_change_checks(
                assets=[table], severity=LEVELS[severity.column_schema_change]
            )
    return checks


def _checks_of(asset: str, checks: list[Check], severities: SeverityConfig) -> dg.AssetChecksDefinition:
    """All checks of an asset as one step, since a step of its own for each takes longer than most of them."""
    sharded, own = STAGES[asset].sharded, {check.name: check for check in checks if check.asset == asset}
    specs = [
        dg.AssetCheckSpec(
            check.name,
            asset=asset,
            description=check.says,
            blocking=getattr(severities, check.name) == "error",
            partitions_def=shards if sharded else None,
        )
        for check in own.values()
    ]

    @dg.multi_asset_check(specs=specs, name=f"checks_of_{asset}", can_subset=True)
    def look(context: dg.AssetCheckExecutionContext, project: ProjectResource) -> Iterator[dg.AssetCheckResult]:
        shard = context.partition_key if sharded else None
        for key in sorted(context.selected_asset_check_keys):
            with explained():
                finding = own[key.name].look(project.value, shard)
            yield _result(key, finding, getattr(severities, key.name))

    return look


def _result(key: dg.AssetCheckKey, finding: Finding, severity: Severity) -> dg.AssetCheckResult:
    return dg.AssetCheckResult(
        asset_key=key.asset_key,
        check_name=key.name,
        passed=finding.passed,
        severity=dg.AssetCheckSeverity.WARN if finding.undecided else LEVELS[severity],
        description=finding.description,
        metadata=finding.numbers,
    )


def _trial(severity: Severity) -> dg.AssetChecksDefinition:
    @dg.asset_check(
        asset=TRIAL.asset_key,
        name=TRIAL.name,
        description="The published student loads again, and answers prompts of its validation rows.",
        blocking=severity == "error",
    )
    def trial(
        context: dg.AssetCheckExecutionContext, project: ProjectResource, benchmark_compute: Compute
    ) -> dg.AssetCheckResult:
        value = project.value
        request = TrialSpec(
            model=read_ref(value.store.get("student_checkpoint").folder),
            examples=str(value.store.get("validated_synthetic_set").file(files.EXAMPLES_FILE)),
            max_new_tokens=settings.answer_tokens(value.config),
            batch_tokens=value.config.evaluation.batch_tokens,
        )
        try:
            counts = benchmark_compute.run(context, "try_model", request).counts
        except UserError as e:
            return _result(TRIAL, Finding(False, str(e)), severity)
        says = f"{counts.answered} of {counts.asked} prompts of the validation rows have an answer; all should"
        return _result(TRIAL, Finding(counts.answered == counts.asked, says, counts.model_dump()), severity)

    return trial
