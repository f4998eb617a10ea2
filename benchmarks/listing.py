"""How long a look at many shards takes: `status`, `plan` and a run that has nothing to do, over one store.

    status_s_1000_shards       status_s_10000_shards       the last over the first tells whether it is linear
    plan_s_1000_shards         plan_s_10000_shards
    preflight_s_1000_shards    preflight_s_10000_shards    what the preflight adds to `plan`
    noop_run_s_1000_shards     `run --until teacher_outputs` where every shard is fresh

The source files and the manifests are real, and so is the Dagster instance: SQLite databases in a folder. The tables in
the store are copies of one table, since a look opens none. The teacher is an endpoint, which nobody asks.
"""

import json
import os
import shutil
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import dagster as dg

from distill_dagster.assets.naming import Names
from distill_dagster.cli.status import read_status
from distill_dagster.config.reading import check_config
from distill_dagster.definitions import build_lineage
from distill_dagster.generation.specs import GenerateCounts
from distill_dagster.lineage.freshness import fingerprint, inputs_of
from distill_dagster.lineage.project import Project
from distill_dagster.lineage.snapshot import Snapshot
from distill_dagster.models.ref import ModelRef
from distill_dagster.operations.instance import INSTANCE_CONFIG
from distill_dagster.operations.runner import QUIET, Runner
from distill_dagster.operations.settled import GATES_TAG, gates_of
from distill_dagster.planning.plan import make_plan
from distill_dagster.preflight.look import preflight
from distill_dagster.store import files, parquet, schemas
from distill_dagster.store.artefacts import MANIFEST
from distill_dagster.store.manifest import Manifest
from distill_dagster.teachers.faculty import Faculty, endpoint_ref, write_faculty

SIZES, ROUNDS = (1_000, 10_000), 3
AN_HOUR = 3_600
FACTS = {  # of `teacher_outputs`: what a plan reads of its speed
    **dict.fromkeys(("asked", "reused", "prompt_tokens", "completion_tokens"), 1),
    **dict.fromkeys(("cost_usd", "seconds", "tokens_per_second", "table_cost_usd"), 1.0),
    **{"teacher": "made", "teachers": {"made": 1}, "errors": {}, "device": "cpu", "dtype": "not known"},
    "answer_length": {"answers": 1, "median": 1.0},
}


def measure() -> dict[str, float]:
    """Seconds of each look; the least of several."""
    found: dict[str, float] = {}
    for shards in SIZES:
        with tempfile.TemporaryDirectory() as folder:
            project = _write_project(Path(folder), shards)
            home = Path(folder) / "dagster"
            home.mkdir()
            shutil.copy(INSTANCE_CONFIG, home)
            with dg.DagsterInstance.from_config(str(home)) as instance:
                found |= _measure(project, instance, shards)
    return found | {
        "status_10000_vs_1000_shards": found[f"status_s_{SIZES[1]}_shards"] / found[f"status_s_{SIZES[0]}_shards"]
    }


def _measure(project: Project, instance: dg.DagsterInstance, shards: int) -> dict[str, float]:
    looks: dict[str, Callable[[], object]] = {
        "status": lambda: read_status(Snapshot(project), instance),
        "plan": lambda: make_plan(Snapshot(project)),
        "preflight": _preflight(project),
    }
    if shards == SIZES[0]:
        _tell(project, instance)
        looks["noop_run"] = lambda: _run(project, instance)
    return {f"{name}_s_{shards}_shards": min(_seconds(look) for _ in range(ROUNDS)) for name, look in looks.items()}


def _preflight(project: Project) -> Callable[[], object]:
    look = Snapshot(project)
    planned = make_plan(look)
    return lambda: preflight(look, planned.steps, whole=False, asks=planned.total.new > 0)


def _seconds(look: Callable[[], object]) -> float:
    started = time.perf_counter()
    look()
    return time.perf_counter() - started


def _run(project: Project, instance: dg.DagsterInstance) -> None:
    runner = Runner(Snapshot(project), build_lineage(project.config), instance, lambda title, state, why: None)
    outcome = runner.run("teacher_outputs")
    assert not outcome.materialized, outcome.materialized[:3]
    assert not outcome.failed, outcome.failed


def write_sources(folder: Path, shards: int) -> Project:
    """A project with source files of a row each, in which nothing is made yet."""
    model: dict[str, Any] = {"architecture": "llama", "settings": {}}
    config = check_config(
        {
            "task": "qa",
            "store": str(folder / "store"),
            "data": {"train": str(folder / "train/*.jsonl"), "test": str(_write_rows(folder / "test.jsonl", 0))},
            "teacher": {"endpoint": {"url": "http://127.0.0.1:9/v1", "model": "made"}},
            "student": {"model": {**model, "tokenizer": "train"}},
        },
        "benchmarks/listing.py",
    )
    for number in range(shards):
        _write_rows(folder / f"train/part-{number:05}.jsonl", number)
    return Project(config)


def _write_project(folder: Path, shards: int) -> Project:
    """Such a project with the artefacts up to `teacher_outputs`, all fresh."""
    project = write_sources(folder, shards)
    config = project.config
    table = folder / "table.parquet"
    parquet.write_table(table, [], schemas.RAW)
    look = Snapshot(project)
    look.read_sources()
    for shard in look.shards:
        publish(look, "raw_dataset", shard, {files.RAW_FILE: table})
    publish(look, "eval_dataset", None, {files.RAW_FILE: table})
    ref = endpoint_ref(config.teacher.endpoint) if config.teacher.endpoint else ModelRef(name="", revision="")
    write_faculty(folder, Faculty(teachers=[(1.0, ref)]))
    publish(look, "teacher_model", None, {files.FACULTY_FILE: folder / files.FACULTY_FILE})
    for shard in look.shards:
        publish(look, "teacher_outputs", shard, {files.TEACHER_FILE: table})
    return look.project


def publish(look: Snapshot, asset: str, shard: str | None, tables: dict[str, Path]) -> None:
    """An artefact as `Store.publish` leaves it, without its fsyncs."""
    inputs = inputs_of(look, asset, shard)
    folder = look.project.store.folder(asset, shard)
    (folder / "versions/v").mkdir(parents=True)
    for name, table in tables.items():
        os.link(table, folder / "versions/v" / name)
    manifest = Manifest(
        asset=asset,
        shard=shard,
        fingerprint=fingerprint(inputs),
        data_version=fingerprint({"asset": asset, "shard": shard}),
        inputs=inputs,
        counts={**dict.fromkeys(GenerateCounts.model_fields, 1), "lines": 1, "rejected": 0},
        facts=FACTS,
        files=dict.fromkeys(tables, "0" * 64),
        version="v",
        created_at="2026-01-01T00:00:00+00:00",
    )
    (folder / MANIFEST).write_text(json.dumps(manifest.document()))
    look.forget(asset, shard)


def _tell(project: Project, instance: dg.DagsterInstance) -> None:
    """Let the instance know every artefact from one run, as it does after a run of the project."""
    look, names = Snapshot(project), Names.of(project.config)

    @dg.op
    def report(context: dg.OpExecutionContext) -> None:
        for asset in ("raw_dataset", "eval_dataset", "teacher_model", "teacher_outputs"):
            for shard in look.shards if asset in ("raw_dataset", "teacher_outputs") else [None]:
                version = {"dagster/data_version": look.get(asset, shard).data_version}
                context.log_event(dg.AssetMaterialization(names.key(asset), partition=shard, tags=version))

    @dg.job(tags={GATES_TAG: gates_of(project.config)})
    def tell() -> None:
        report()

    assert tell.execute_in_process(instance=instance, run_config=QUIET).success
    Runner(look, build_lineage(project.config), instance, lambda title, state, why: None).run("raw_dataset")


def _write_rows(path: Path, number: int) -> Path:
    """A file with one row, an hour old."""
    path.parent.mkdir(exist_ok=True)
    path.write_text(f'{{"messages": [{{"role": "user", "content": "What is {number}?"}}]}}\n')
    written = time.time() - AN_HOUR
    os.utime(path, (written, written))
    return path
