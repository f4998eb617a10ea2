"""Makes the Dagster asset of a stage: the asset says which spec its worker gets, and everything else follows.

    @stage_asset(view=answers_view, kinds={"huggingface", "parquet"})
    def teacher_outputs(upstream: Upstream, out: Path, work: Path) -> GenerateSpec:
        \"\"\"The teacher's answers to one shard's prompts.\"\"\"
        return GenerateSpec(rows=upstream.file("raw_dataset", files.RAW_FILE), …)

The stage of that name declares deps, partitions, pool, code version and worker; the config gives owners and the key's
prefix. The asset does nothing if the store already holds an artefact of the same fingerprint, or if the shard's source
file was removed after the run was requested. A user's mistake becomes a `dagster.Failure` with the same words and no
retry.
"""

import contextlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import dagster as dg
from pydantic import BaseModel, Field, create_model

from distill_dagster.assets.condition import rerun_when_inputs_change
from distill_dagster.assets.failures import ERROR
from distill_dagster.assets.lost_database import start_again
from distill_dagster.assets.naming import Names
from distill_dagster.assets.run_tags import add_rows, mark_run, started_by
from distill_dagster.assets.several_shards import backfill_policy, is_over_several, make_each
from distill_dagster.assets.tracked import tracked
from distill_dagster.assets.views.lineage import column_lineage
from distill_dagster.assets.views.numbers import rounded_metadata
from distill_dagster.assets.views.tables import counts_table
from distill_dagster.assets.views.training import curves_metadata
from distill_dagster.assets.watched import WatchedStep, watched, watched_run
from distill_dagster.config import DistillConfig
from distill_dagster.errors import UserError
from distill_dagster.lineage.because import because, changed_rows
from distill_dagster.lineage.freshness import fingerprint, inputs_of
from distill_dagster.lineage.project import Project
from distill_dagster.lineage.snapshot import Snapshot
from distill_dagster.lineage.stages import STAGES, Stage, deps_of
from distill_dagster.lineage.student import LINKS, link_student
from distill_dagster.lineage.upstream import Upstream
from distill_dagster.resources.compute import Compute
from distill_dagster.resources.compute.inline import run_inline
from distill_dagster.store.manifest import Manifest, title_of
from distill_dagster.store.result import Result, Spec

SpecOf = Callable[[Upstream, Path, Path], Spec]
View = Callable[[Manifest], dict[str, Any]]
RunWorker = Callable[[Spec], Result]  # leases what the stage needs, and runs its worker there
Conduct = Callable[[Any, RunWorker, Callable[[str], None]], Result]  # its last argument logs


@dataclass(frozen=True, slots=True)
class Overrides:
    """Settings that a run may change in the launchpad: the fields, and the config's section that they belong to."""

    fields: type[dg.Config]
    section: tuple[str, str]
    apply: Callable[[DistillConfig], bool] = lambda _: True  # whether they shape the asset in a project

    def schema(self, config: DistillConfig) -> dg.ConfigSchema:
        """The launchpad's fields. Their defaults are the values of the config, and the launchpad opens with them."""
        own = self.values(config)
        shown: dict[str, Any] = {
            name: (info.annotation, Field(default=own[name], description=info.description))
            for name, info in self.fields.model_fields.items()
        }
        return create_model(self.fields.__name__, __base__=dg.Config, **shown).to_config_schema()

    def values(self, config: DistillConfig) -> dict[str, Any]:
        """The values of the fields in a config."""
        section = getattr(getattr(config, self.section[0]), self.section[1])
        values = {name: getattr(section, name) for name in self.fields.model_fields}
        return {name: value.model_dump() if isinstance(value, BaseModel) else value for name, value in values.items()}

    def changed(self, config: DistillConfig, run: Mapping[str, Any]) -> dict[str, Any]:
        """The fields in which a run's config differs from the project's; one that is left empty does not."""
        own = self.values(config)
        return {name: run[name] for name in own if run.get(name) is not None and run[name] != own[name]}


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
    conduct: Conduct | None = None

    def build(self, config: DistillConfig, code_version: str) -> dg.AssetsDefinition:
        """The asset in a project with this config, with the code version that `code_versions` gives its stage."""
        if self.overrides and not self.overrides.apply(config):
            return replace(self, overrides=None).build(config, code_version)
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
            code_version=code_version,
            pool=names.own(stage.pool) if stage.pool else None,
            automation_condition=rerun_when_inputs_change(),
            freshness_policy=overdue if stage.has_deadline else None,
            required_resource_keys={names.own("project"), *compute},
            config_schema=self.overrides.schema(config) if self.overrides else None,
            output_required=not self.stage.sharded,
            backfill_policy=backfill_policy(stage, config),
            hooks={start_again},
        )
        def asset(context: dg.AssetExecutionContext) -> Iterator[dg.MaterializeResult]:
            own: Project = getattr(context.resources, names.own("project")).value
            if stage.sharded and is_over_several(context):
                with watched_run(context, own.config.name, stage.name):
                    make_each(context, names, stage, Snapshot(own))
            elif made := self._make(context, names, own):
                yield made

        return asset

    def _make(self, context: dg.AssetExecutionContext, names: Names, own: Project) -> dg.MaterializeResult | None:
        """Materialize the asset, or its shard of the run, unless the shard's source file is gone."""
        shard = context.partition_key if self.stage.sharded else None
        with explained(), watched(context, own.config.name, self.stage.name, shard) as step:
            changed = self._launchpad(context, own.config)
            look = Snapshot(own.with_overrides(self.overrides.section, changed) if self.overrides else own)
            if shard is None or shard in look.sources:
                upstream = Upstream(look, self.stage, shard, started_by(context), context.run.run_id)
                return self._materialize(context, names, upstream, changed, step)
            context.log.warning(f"nothing to make: the source file of {shard} was removed or renamed")
        return None

    def _materialize(
        self,
        context: dg.AssetExecutionContext,
        names: Names,
        upstream: Upstream,
        changed: dict[str, Any],
        step: WatchedStep,
    ) -> dg.MaterializeResult:
        """Publish the artefact, unless the store holds a complete one that was made from the same inputs.

        `changed` are the settings of the launchpad.
        """
        look, shard = upstream.look, upstream.shard
        if self.guard:
            self.guard(upstream)
        inputs = inputs_of(look, self.stage.name, shard)
        wanted, before = fingerprint(inputs), look.find(self.stage.name, shard)
        is_fresh = before is not None and before.is_made_from(wanted)
        mark_run(context, title_of(self.stage.name, shard), because(look, self.stage.name, shard, inputs))
        if before and is_fresh:
            context.log.info(f"nothing to do: {before.uri} was made from these inputs on {before.created_at}")

        made: list[Result] = []

        def make(out: Path, work: Path) -> Result:
            made.append(self._run(context, names, self.spec_of(upstream, out, work)).with_launchpad(changed))
            return made[-1]

        store = look.project.store
        with tracked(context, look.config, self.stage.name, wanted, is_one_job=self.conduct is None) as tracker:
            manifest = store.publish(self.stage.name, shard, fingerprint=wanted, inputs=inputs, make=make)
            if made:
                step.made(made[-1])
            if made and tracker:
                tracker.made(manifest, made[-1])
        if self.stage.name in LINKS:
            link_student(store, manifest)
        look.forget(self.stage.name, shard)
        if before and not is_fresh and (rows := changed_rows(look, self.stage.name, shard, before.data_version)):
            add_rows(context, shard, rows)
        metadata = {**self._metadata(names, look, manifest), "skipped": is_fresh}
        return dg.MaterializeResult(data_version=dg.DataVersion(manifest.data_version), metadata=metadata)

    def _metadata(self, names: Names, look: Snapshot, manifest: Manifest) -> dict[str, Any]:
        """What the UI shows of the artefact."""
        return {
            **_launchpad_view(manifest),
            **rounded_metadata(self.view(manifest)),
            **curves_metadata(look.project.curves(self.stage.name, manifest.fingerprint)),
            "counts": counts_table(manifest.counts),
            **column_lineage(self.stage.name, names),
            "dagster/uri": manifest.uri,
            "made_from": dg.MetadataValue.json(manifest.inputs),
            "made_at": manifest.created_at,
        }

    def _launchpad(self, context: dg.AssetExecutionContext, config: DistillConfig) -> dict[str, Any]:
        """The settings in which this run differs from the project's config."""
        return self.overrides.changed(config, context.op_execution_context.op_config) if self.overrides else {}

    def _run(self, context: dg.AssetExecutionContext, names: Names, spec: Spec) -> Result:
        """Run the stage's worker where the stage's `compute` says, or here if it needs no device.

        A stage of many jobs conducts them here, and its worker does each of them.
        """
        if self.stage.compute is None:
            return run_inline(context, self.stage.worker, spec, devices=[])
        compute: Compute = getattr(context.resources, names.own(f"{self.stage.compute}_compute"))
        run = partial(compute.run, context, self.stage.worker)
        return self.conduct(spec, run, context.log.info) if self.conduct else run(spec)


def stage_asset(
    *,
    view: View,
    kinds: set[str],
    name: str | None = None,
    guard: Callable[[Upstream], None] | None = None,
    overrides: Overrides | None = None,
    conduct: Conduct | None = None,
) -> Callable[[SpecOf], StageAsset]:
    """Turn a function that builds the spec of a stage's worker into the asset of that stage.

    The function's name, or `name`, is the stage's; its docstring is the asset's description. `view` returns the
    metadata that the UI shows of the artefact. `guard` raises if the artefact must not be made or used. `conduct` makes
    the artefact by several runs of the worker.
    """

    def decorate(spec_of: SpecOf) -> StageAsset:
        stage = STAGES[name or spec_of.__name__]
        says = (spec_of.__doc__ or "").strip()
        return StageAsset(stage, says, spec_of, view, frozenset(kinds), guard, overrides, conduct)

    return decorate


def _launchpad_view(manifest: Manifest) -> dict[str, Any]:
    """The settings of the launchpad that shaped an artefact, if there were any."""
    settings = manifest.launchpad
    return {"made_with_launchpad_settings": dg.MetadataValue.json(settings)} if settings else {}


@contextlib.contextmanager
def explained() -> Iterator[None]:
    """Turn a user's error into a Dagster failure with the same message and no retry."""
    try:
        yield
    except UserError as e:
        raise dg.Failure(str(e), metadata={ERROR: type(e).__name__}, allow_retries=False) from e
