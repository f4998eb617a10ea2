"""Small projects with the demo's data, and functions that bring them up to date."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest
import yaml

from distill_dagster.config import DistillConfig
from distill_dagster.definitions import build_definitions, build_lineage
from distill_dagster.demo.world import write_dataset
from distill_dagster.lineage.project import Project
from distill_dagster.lineage.snapshot import Snapshot
from distill_dagster.operations.instance import dagster_home
from distill_dagster.operations.runner import Outcome, Runner

TINY_LLAMA = {
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "max_position_embeddings": 512,
}


def tiny_settings(**changes) -> dict:
    """A project whose models train in seconds; keys may be dotted paths."""
    settings = {
        "task": "qa",
        "data": {"train": "data/train/*.jsonl", "validation": "data/validation.jsonl", "test": "data/test.jsonl"},
        "teacher": {
            "model": {"architecture": "llama", "settings": TINY_LLAMA, "vocab_size": 400},
            "fit": {"learning_rate": 1e-2, "epochs": 12, "batch_size": 16, "evaluations": 2},
            "generation": {"max_new_tokens": 12},
            "smoke": {"rows": 0},
        },
        "student": {
            "model": {
                "architecture": "llama",
                "settings": {**TINY_LLAMA, "hidden_size": 16, "num_hidden_layers": 1},
                "tokenizer": "teacher",
            },
            "training": {"learning_rate": 1e-2, "epochs": 6, "batch_size": 16, "evaluations": 2},
        },
        # models of this size write nonsense, so the limits are wide
        "quality": {"contamination": "exact"},
        "checks": {
            **{"min_teacher_rows": 5, "min_train_rows": 5, "min_acceptance": 0, "min_success_share": 0},
            **{name: 1 for name in ("max_truncated_share", "max_off_form_share", "max_degenerate_share")},
            "severity": {"loads_and_generates": "warn"},
        },
        "evaluation": {"latency_requests": 4, "resamples": 200},
        "compute": {"devices": []},
    }
    for path, value in changes.items():
        *parents, last = path.split(".")
        section = settings
        for parent in parents:
            section = section.setdefault(parent, {})
        section[last] = value
    return settings


def write_project(folder: Path, **changes) -> Path:
    """Write rows and distill.yaml of a tiny project; returns the config's path."""
    write_dataset(folder / "data", tasks=("nli", "math"), train_rows=90, validation_rows=12, test_rows=12, shards=3)
    path = folder / "distill.yaml"
    path.write_text(yaml.safe_dump(tiny_settings(**changes)))
    return path


def run_project(config: DistillConfig, instance: dg.DagsterInstance, until: str | None = None) -> Outcome:
    """Bring a project, or its first stages, up to date without output."""
    return Runner(Snapshot(Project(config)), build_lineage(config), instance, lambda title, state, why: None).run(until)


def materialize_alone(config: DistillConfig, instance: dg.DagsterInstance, asset: str) -> None:
    """Make one artefact that has no shards, and nothing else."""
    job = build_lineage(config).resolve_implicit_global_asset_job_def()
    job.execute_in_process(instance=instance, asset_selection=[dg.AssetKey(asset)])


@contextlib.contextmanager
def own_instance(config: DistillConfig) -> Iterator[dg.DagsterInstance]:
    """The Dagster instance in the project's store, which `distill-dagster` opens unless DAGSTER_HOME names another."""
    with pytest.MonkeyPatch.context() as environment:
        environment.delenv("DAGSTER_HOME", raising=False)
        with dg.DagsterInstance.from_config(str(dagster_home(config))) as instance:
            yield instance


def unpublish(project: Project, asset: str) -> None:
    """Make an artefact missing again."""
    (project.store.folder(asset) / "manifest.json").unlink()


def tick(config: DistillConfig, instance: dg.DagsterInstance) -> list[dg.RunRequest] | str | None:
    """What the schedule asks for, or the reason why it asks for nothing."""
    definitions = build_definitions(config)
    schedule = definitions.get_repository_def().get_schedule_def("redistill_schedule")
    project = definitions.resources["project"]
    with dg.build_schedule_context(instance=instance, resources={"project": project}) as context:
        result = schedule.evaluate_tick(context)
    return result.run_requests or result.skip_message


def last_metadata(instance: dg.DagsterInstance, asset: str, shard: str | None = None) -> dict[str, dg.MetadataValue]:
    """The metadata of an asset's last materialization."""
    keys = dg.AssetRecordsFilter(asset_key=dg.AssetKey(asset), asset_partitions=[shard] if shard else None)
    return instance.fetch_materializations(keys, limit=1).records[0].asset_materialization.metadata
