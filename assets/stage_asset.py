"""Makes the Dagster asset of a stage: the asset says which spec its worker gets, and everything else follows.

    @stage_asset(view=answers_view, kinds={"huggingface", "parquet"})
    def teacher_outputs(upstream: Upstream, out: Path, work: Path) -> GenerateSpec:
        \"\"\"The teacher's answers to one shard's prompts.\"\"\"
        return GenerateSpec(rows=upstream.file("raw_dataset", files.RAW_FILE), …)

The stage of that name declares deps, partitions, pool, code version and worker; the config gives owners and the key's
prefix. The asset does nothing if the store already holds an artefact of the same fingerprint. A user's mistake
becomes a `dagster.Failure` with the same words and no retry.
"""

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import dagster as dg

from distill_dagster.assets.condition import rerun_when_inputs_change
from distill_dagster.assets.naming import Names
from distill_dagster.assets.views.tables import counts_table
from distill_dagster.config import DistillConfig
from distill_dagster.errors import UserError
from distill_dagster.lineage.freshness import code_versions, fingerprint, inputs_of
from distill_dagster.lineage.project import Project
from distill_dagster.lineage.snapshot import Snapshot
from distill_dagster.lineage.stages import STAGES, Stage, deps_of
from distill_dagster.lineage.student import STAGE as STUDENT
from distill_dagster.lineage.student import link_student
from distill_dagster.lineage.upstream import Upstream
from distill_dagster.resources.compute import Compute, run_here
from distill_dagster.store.manifest import Manifest
from distill_dagster.store.result import Result, Spec

SpecOf = Callable[[Upstream, Path, Path], Spec]
View = Callable[[Manifest], dict[str, Any]]
ERROR = "error"  # in the metadata of a failure: the class of the user's error
OVERDUE = ("student_checkpoint", "eval_report")  # the assets to which `automation.report_hours` applies


@dataclass(frozen=True, slots=True)
class Overrides:
    """Settings that a run may change in the launchpad: the fields, and the config's section that they belong to."""

    fields: type[dg.Config]
    section: tuple[str, str]


@dataclass(frozen=True, slots=True)
class StageAsset:
    """What an asset adds to its stage; `build` makes the Dagster asset of one project."""

    stage: Stage
    says: str
    spec_of: SpecOf
    view: View
    kinds: frozenset[str]
    guard: Callable[[Upstream], None] | None
    overrides: Overrides | None

    def build(self, config: DistillConfig) -> dg.AssetsDefinition:
        """The asset in a project with this config."""
        names, stage, hours = Names.of(config), self.stage, config.automation.report_hours
        overdue = dg.FreshnessPolicy.time_window(fail_window=timedelta(hours=hours)) if hours else None
        compute = {names.own(f"{stage.compute}_compute")} if stage.compute else set()

        @dg.asset(
            key=names.key(stage.name),
            description=self.says,
            deps=[names.key(name) for name in deps_of(stage, config)],
            partitions_def=names.shards if stage.sharded else None,
            group_name=names.group(stage.group),
            kinds=set(self.kinds),
            owners=config.owners,
            code_version=code_versions(config)[stage.name],
            pool=names.own(stage.pool) if stage.pool else None,
            automation_condition=rerun_when_inputs_change(),
            freshness_policy=overdue if stage.name in OVERDUE else None,
            required_resource_keys={names.own("project"), *compute},
            config_schema=self.overrides.fields.to_config_schema() if self.overrides else None,
        )
        def asset(context: dg.AssetExecutionContext) -> dg.MaterializeResult:
            with explained():
                return self._materialize(context, names)

        return asset

    def _materialize(self, context: dg.AssetExecutionContext, names: Names) -> dg.MaterializeResult:
        """Publish the artefact, unless the store holds a complete one that was made from the same inputs."""
        shard = context.partition_key if self.stage.sharded else None
        look = Snapshot(self._project(context, names))
        upstream = Upstream(look, self.stage, shard)
        if self.guard:
            self.guard(upstream)
        inputs = inputs_of(look, self.stage.name, shard)
        wanted, before = fingerprint(inputs), look.find(self.stage.name, shard)
        is_fresh = before is not None and before.is_made_from(wanted)
        if before and is_fresh:
            context.log.info(f"nothing to do: {before.folder} was made from these inputs on {before.created_at}")

        def make(out: Path, work: Path) -> Result:
            return self._run(context, names, self.spec_of(upstream, out, work))

        store = look.project.store
        manifest = store.publish(self.stage.name, shard, fingerprint=wanted, inputs=inputs, make=make)
        if self.stage.name == STUDENT:
            link_student(store, manifest)
        return dg.MaterializeResult(
            data_version=dg.DataVersion(manifest.data_version),
            metadata={
                "skipped": is_fresh,
                "counts": counts_table(manifest.counts),
                **self.view(manifest),
                "dagster/uri": str(manifest.folder),
                "made_from": dg.MetadataValue.json(manifest.inputs),
                "made_at": manifest.created_at,
            },
        )

    def _project(self, context: dg.AssetExecutionContext, names: Names) -> Project:
        """The project, with the settings that this run overrides."""
        project: Project = getattr(context.resources, names.own("project")).value
        if self.overrides is None:
            return project
        given = {name: value for name, value in context.op_execution_context.op_config.items() if value is not None}
        return project.with_overrides(self.overrides.section, given)

    def _run(self, context: dg.AssetExecutionContext, names: Names, spec: Spec) -> Result:
        """Run the stage's worker where the stage's `compute` says, or here if it needs no device."""
        if self.stage.compute is None:
            return run_here(context, self.stage.worker, spec, "cpu")
        compute: Compute = getattr(context.resources, names.own(f"{self.stage.compute}_compute"))
        return compute.run(context, self.stage.worker, spec)


def stage_asset(
    *,
    view: View,
    kinds: set[str],
    name: str | None = None,
    guard: Callable[[Upstream], None] | None = None,
    overrides: Overrides | None = None,
) -> Callable[[SpecOf], StageAsset]:
    """Turn a function that builds the spec of a stage's worker into the asset of that stage.

    The function's name, or `name`, is the stage's; its docstring is the asset's description. `view` returns the
    metadata that the UI shows of the artefact. `guard` raises if the artefact must not be made or used.
    """

    def decorate(spec_of: SpecOf) -> StageAsset:
        stage = STAGES[name or spec_of.__name__]
        return StageAsset(stage, (spec_of.__doc__ or "").strip(), spec_of, view, frozenset(kinds), guard, overrides)

    return decorate


@contextlib.contextmanager
def explained() -> Iterator[None]:
    """Turn a user's error into a Dagster failure with the same message and no retry."""
    try:
        yield
    except UserError as e:
        raise dg.Failure(str(e), metadata={ERROR: type(e).__name__}, allow_retries=False) from e
