"""Turns the checks of distill_dagster/checks into asset checks with the severities of the config.

A check of severity `error` blocks: the run that made a bad shard fails, and nothing that follows is made until the
check passes, neither in the same run nor by `distill-dagster run` or the automation. Whether a check blocks is fixed
when the code location loads, because a blocking check of severity WARN would still hold up the automation.
"""

from collections.abc import Iterator

import dagster as dg

from distill_dagster.assets.naming import Names
from distill_dagster.assets.stage_asset import explained
from distill_dagster.assets.views.numbers import rounded
from distill_dagster.checks import Check, Finding, checks_of
from distill_dagster.config import DistillConfig, Severity
from distill_dagster.errors import UserError
from distill_dagster.lineage import settings
from distill_dagster.lineage.project import Project
from distill_dagster.lineage.snapshot import Snapshot
from distill_dagster.lineage.stages import STAGES
from distill_dagster.lineage.student import student_ref
from distill_dagster.resources.compute import Compute
from distill_dagster.store import files
from distill_dagster.training.specs import TryResult, TrySpec

LEVELS = {"error": dg.AssetCheckSeverity.ERROR, "warn": dg.AssetCheckSeverity.WARN}


def build_checks(config: DistillConfig) -> list[dg.AssetChecksDefinition]:
    """Every check of the project that is not switched off."""
    names, severity, own = Names.of(config), config.checks.severity, checks_of(config)
    assets = dict.fromkeys(check.asset for check in own)
    checks = [_checks_of(asset, [check for check in own if check.asset == asset], config) for asset in assets]
    if severity.loads_and_generates != "off":
        checks.append(_tries(names, severity.loads_and_generates))
    if severity.column_schema_change != "off":
        for table in (
            stage.name for stage in STAGES.values() if stage.has_watched_columns
        ):  # one step each, so that none waits for another
            checks += dg.build_column_schema_change_checks(
                assets=[names.key(table)], severity=LEVELS[severity.column_schema_change]
            )
    return checks


def _checks_of(asset: str, checks: list[Check], config: DistillConfig) -> dg.AssetChecksDefinition:
    """All checks of an asset as one step, because a step for each would take longer than most checks do."""
    names, sharded, own = Names.of(config), STAGES[asset].sharded, {check.name: check for check in checks}
    resource = names.own("project")
    specs = [
        dg.AssetCheckSpec(
            check.name,
            asset=names.key(asset),
            description=check.says,
            blocking=check.severity_in(config) == "error",
            partitions_def=names.shards if sharded else None,
        )
        for check in checks
    ]

    @dg.multi_asset_check(
        specs=specs, name=names.own(f"checks_of_{asset}"), can_subset=True, required_resource_keys={resource}
    )
    def inspect(context: dg.AssetCheckExecutionContext) -> Iterator[dg.AssetCheckResult]:
        shard = context.partition_key if sharded else None
        look = Snapshot(getattr(context.resources, resource).value)
        for key in sorted(context.selected_asset_check_keys):
            with explained():
                finding = own[key.name].run(look, shard)
            yield _result(key, finding, own[key.name].severity_in(config))

    return inspect


def _result(key: dg.AssetCheckKey, finding: Finding, severity: Severity) -> dg.AssetCheckResult:
    return dg.AssetCheckResult(
        asset_key=key.asset_key,
        check_name=key.name,
        passed=finding.passed,
        severity=dg.AssetCheckSeverity.WARN if finding.undecided else LEVELS[severity],
        description=finding.description,
        metadata=rounded(finding.numbers),
    )


def _tries(names: Names, severity: Severity) -> dg.AssetChecksDefinition:
    resource, benchmark = names.own("project"), names.own("benchmark_compute")
    key = dg.AssetCheckKey(names.key("student_checkpoint"), "loads_and_generates")

    @dg.asset_check(
        asset=key.asset_key,
        name=key.name,
        description="The published student loads again, and answers prompts of its validation rows.",
        blocking=severity == "error",
        required_resource_keys={resource, benchmark},
    )
    def tries(context: dg.AssetCheckExecutionContext) -> dg.AssetCheckResult:
        project: Project = getattr(context.resources, resource).value
        compute: Compute = getattr(context.resources, benchmark)
        spec = TrySpec(
            model=student_ref(project.store.get("student_checkpoint").folder, project.config),
            examples=str(project.store.get("validated_synthetic_set").file(files.EXAMPLES_FILE)),
            max_new_tokens=settings.answer_tokens(project.config),
            batch_tokens=project.config.evaluation.batch_tokens,
        )
        try:
            result = compute.run(context, "try_model", spec)
        except UserError as e:
            return _result(key, Finding(False, str(e)), severity)
        assert isinstance(result, TryResult)
        counts = result.counts
        says = f"{counts.answered} of {counts.asked} prompts of the validation rows have an answer; all should"
        return _result(key, Finding(counts.answered == counts.asked, says, counts.model_dump()), severity)

    return tries
