"""The code location: the whole lineage, bound to one `distill.yaml`.

    raw_shards → raw_dataset → teacher_model → teacher_outputs → validated_synthetic_set → student_checkpoint
                 teacher_outputs → teacher_logits, where teacher.logits asks for it
                 eval_dataset → teacher_benchmark, baseline_benchmark, student_benchmark → eval_report

`DISTILL_CONFIG` names the config; without it `./distill.yaml` is taken, and where that is not there either the
demo's, `examples/demo.yaml`.
"""

import os
from datetime import timedelta
from pathlib import Path

import dagster as dg

from distill_dagster.assets import dataset, evaluation, logits, raw_dataset, student, teacher
from distill_dagster.assets.checks import build_checks
from distill_dagster.assets.partitions import OBSERVED, shard_list
from distill_dagster.config import DistillConfig
from distill_dagster.config.reading import CONFIG_NAME, CONFIG_VARIABLE, load_config
from distill_dagster.lineage.stages import STAGES, code_versions, follows
from distill_dagster.operations.alerting import alert_sensor
from distill_dagster.operations.schedule import redistill_job, redistill_schedule
from distill_dagster.operations.sensors import automation_sensors
from distill_dagster.resources.compute import Compute
from distill_dagster.resources.gpu import GpuPool
from distill_dagster.resources.project import ProjectResource

ASSET_MODULES = [raw_dataset, teacher, dataset, student, evaluation]
DEMO_CONFIG = Path(__file__).parents[1] / "examples" / "demo.yaml"


def build_resources(config: DistillConfig) -> dict[str, dg.ConfigurableResource]:
    """The project, and for each kind of step the compute that its need declares."""
    compute = config.compute
    pool = GpuPool(devices=None if compute.devices == "auto" else compute.devices)
    return {
        "project": ProjectResource.of(config),
        "fit_compute": Compute.of(compute.fit, pool, compute.backend),
        "teacher_compute": Compute.of(compute.generate, pool, compute.backend),
        "student_compute": Compute.of(compute.train, pool, compute.backend),
        "benchmark_compute": Compute.of(compute.benchmark, pool, compute.backend),
    }


def build_lineage(config: DistillConfig) -> dg.Definitions:
    """The assets, their checks and the resources of one distillation project."""
    modules = [*ASSET_MODULES, logits] if config.teacher.logits else ASSET_MODULES
    made = [asset for asset in dg.load_assets_from_modules(modules) if isinstance(asset, dg.AssetsDefinition)]
    versions, hours = code_versions(config), config.automation.report_hours
    overdue = dg.FreshnessPolicy.time_window(fail_window=timedelta(hours=hours)) if hours else None

    def of_this_project(spec: dg.AssetSpec) -> dg.AssetSpec:
        name = spec.key.to_user_string()
        return spec.replace_attributes(
            owners=config.owners,
            code_version=versions.get(name),
            deps=_deps(spec, config),
            freshness_policy=overdue if name in ("student_checkpoint", "eval_report") else None,
        )

    return dg.Definitions(
        assets=dg.map_asset_specs(of_this_project, [*OBSERVED, *made]),
        asset_checks=build_checks(config),
        resources=build_resources(config),
        executor=dg.in_process_executor,  # a run holds one asset; a second process would only load torch again
    )


def build_definitions(config: DistillConfig) -> dg.Definitions:
    """Everything that Dagster needs to show and run one distillation project.

    Example:
        >>> defs = build_definitions(load_config("distill.yaml"))
        >>> dg.Definitions.validate_loadable(defs)
    """
    lineage = build_lineage(config)
    job = redistill_job(lineage)
    operations = dg.Definitions(
        jobs=[job],
        schedules=[redistill_schedule(config.automation, job)],
        sensors=[*automation_sensors(config.automation), alert_sensor(config.alerts)],
    )
    return dg.Definitions.merge(lineage, operations)


def _deps(spec: dg.AssetSpec, config: DistillConfig) -> list[dg.AssetDep]:
    """Those of the declared ones that count in this project: a teacher behind an endpoint does not follow the rows."""
    stage = STAGES.get(spec.key.to_user_string())
    if stage is None:
        return list(spec.deps)
    followed = follows(stage, config)
    idle = STAGES.keys() - followed
    if not any(STAGES[name].sharded for name in followed):
        idle |= {shard_list.key.to_user_string()}
    return [dep for dep in spec.deps if dep.asset_key.to_user_string() not in idle]


def find_config() -> Path:
    """The config that this code location is for."""
    if named := os.environ.get(CONFIG_VARIABLE):
        return Path(named)
    return Path(CONFIG_NAME) if Path(CONFIG_NAME).is_file() else DEMO_CONFIG


@dg.definitions
def defs() -> dg.Definitions:
    """What `dagster dev`, `dg` and the daemon load."""
    return build_definitions(load_config(find_config()))
