"""The code location: the whole lineage, bound to one `distill.yaml`.

    raw_shards → raw_dataset → teacher_model → teacher_outputs → validated_synthetic_set → student_checkpoint
                 teacher_outputs → teacher_logits, where teacher.logits asks for it
                 student_rollouts_1 → rollout_logits_1 → student_round_1 → …, where the student learns on-policy
                              student_sweep → student_checkpoint, where the settings of the training are searched
                 eval_dataset → teacher_benchmark, baseline_benchmark, student_benchmark → eval_report
                 gold_set → gold_student_checkpoint → gold_student_benchmark, where evaluation.gold_student asks for it
                 eval_report → released_student, where a release is wanted → published_student, with release.publish
                 eval_dataset → speed_benchmark, of all three models and the exports → eval_report
                 student_checkpoint → student_export_gguf_q8_0, …, for each format in export.formats

`DISTILL_CONFIG` names the config; without it, `./distill.yaml` is used, else the demo's. In a Dagster project of your
own, use the component of component.py, or merge. Each project then needs its own `key_prefix`:

    dg.Definitions.merge(build_definitions(load_config("nli.yaml")), build_definitions(load_config("math.yaml")))
"""

import os
from pathlib import Path

import dagster as dg

from distill_dagster.assets import (
    dataset,
    evaluation,
    export,
    gold_student,
    judging,
    logits,
    on_policy,
    publishing,
    raw_dataset,
    release,
    report,
    student,
    teacher,
    tuning,
)
from distill_dagster.assets.checks import build_checks
from distill_dagster.assets.naming import Names
from distill_dagster.assets.partitions import observed_assets
from distill_dagster.assets.stage_asset import StageAsset
from distill_dagster.config import DistillConfig
from distill_dagster.config.reading import CONFIG_NAME, CONFIG_VARIABLE, load_config
from distill_dagster.demo.project import demo_config
from distill_dagster.lineage.freshness import code_versions
from distill_dagster.operations.alerting import alert_sensor
from distill_dagster.operations.json_console import log_runs_as_json
from distill_dagster.operations.schedule import redistill_job, redistill_schedule
from distill_dagster.operations.sensors import automation_sensors
from distill_dagster.process import close_to_others
from distill_dagster.resources.compute import Compute
from distill_dagster.resources.compute.settings import cluster_settings
from distill_dagster.resources.gpu import GpuPool
from distill_dagster.resources.project import ProjectResource

ASSETS: dict[str, StageAsset] = {
    asset.stage.name: asset
    for module in (
        *(raw_dataset, teacher, logits, dataset, tuning, student, judging),
        *(evaluation, report, gold_student, release, publishing),
    )
    for asset in vars(module).values()
    if isinstance(asset, StageAsset)
} | {asset.stage.name: asset for asset in (*on_policy.ROUNDS, *export.EXPORTS)}


def build_resources(config: DistillConfig) -> dict[str, dg.ResourceDefinition]:
    """The project, and for each kind of step the compute that its need declares.

    Their config is that of the project, and no run changes it. As configurable resources of Dagster, they would be in
    every launchpad, and a launchpad that was opened before the project's config changed would bring the old one back.
    """
    names, compute = Names.of(config), config.compute
    pool = GpuPool(devices=None if compute.devices == "auto" else compute.devices)
    project = _fixed(
        ProjectResource.of(config),
        f"Holds the project {config.name}: its task is {config.task}, and its store is {config.store}.",
    )
    return {names.own("project"): project} | {
        names.own(f"{kind}_compute"): _fixed(
            Compute.of(need, pool, compute.backend, cluster_settings(config, kind)),
            f"Runs the work of kind {kind} with the backend {compute.backend}. `compute.{kind}` needs {need.gpus} "
            f"GPU(s) of {need.memory_gb:g} GB or more, and {'accepts' if need.cpu else 'refuses'} a CPU instead.",
        )
        for kind, need in compute.needs.items()
    }


def _fixed(resource: dg.ConfigurableResource, description: str) -> dg.ResourceDefinition:
    return dg.ResourceDefinition.hardcoded_resource(resource, description)


def build_lineage(config: DistillConfig) -> dg.Definitions:
    """The assets of one distillation project, their checks and resources."""
    versions = code_versions(config)
    made = [asset.build(config, versions[name]) for name, asset in ASSETS.items() if asset.stage.wanted(config)]
    return dg.Definitions(
        assets=[*observed_assets(config), *made],
        asset_checks=build_checks(config),
        resources=build_resources(config),
    )


def build_definitions(config: DistillConfig) -> dg.Definitions:
    """Everything that Dagster needs to show and run one distillation project, except an executor.

    A code location has one executor. `dg.in_process_executor` suits best: a run holds one asset, and a process for its
    step would only import the libraries again.

    Example:
        >>> defs = build_definitions(load_config("distill.yaml"))
        >>> dg.Definitions.validate_loadable(defs)
    """
    lineage = build_lineage(config)
    job = redistill_job(config, lineage)
    operations = dg.Definitions(
        jobs=[job],
        schedules=[redistill_schedule(config, job)],
        sensors=[*automation_sensors(config), alert_sensor(config)],
    )
    return dg.Definitions.merge(lineage, operations)


def find_config() -> DistillConfig:
    """The config of this code location."""
    if named := os.environ.get(CONFIG_VARIABLE):
        return load_config(named)
    return load_config(CONFIG_NAME) if Path(CONFIG_NAME).is_file() else demo_config()


@dg.definitions
def defs() -> dg.Definitions:
    """What `dagster dev`, `dg` and the daemon load."""
    log_runs_as_json()
    close_to_others()
    alone = dg.Definitions(executor=dg.in_process_executor)
    return dg.Definitions.merge(build_definitions(find_config()), alone)
