"""A project whose teacher counts its requests, and the daemon that keeps it up to date, as tests watch them.

    train-part-00 … train-part-06   six rows each, row ids <0> … <41>
    train-part-07                   1,250 rows, row ids <1000> … <2249>
    test                            six rows, with gold answers; the validation rows are taken from the training shards

The student is an existing tiny model, so a changed shard changes only the shard, the set, the student and its
benchmark.
"""

import json
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import dagster as dg
import pytest
import yaml

from distill_dagster.config.reading import load_config
from distill_dagster.lineage.project import Project
from distill_dagster.lineage.snapshot import Snapshot
from distill_dagster.lineage.stages import stages_of
from distill_dagster.planning.steps import list_steps
from distill_dagster.store import files, parquet
from testing.dev_server import DevServer
from testing.fault_server import FaultServer
from testing.models_tiny import write_model
from testing.projects import tiny_settings
from testing.waiting import PATIENCE, wait_for

SMALL_ROWS, BIG_ROWS = 6, 1250
BIG = "part-07"
TEST_ROWS = range(4000, 4000 + SMALL_ROWS)
STUDENT = {"learning_rate": 1e-2, "epochs": 1, "batch_size": 64, "max_length": 128, "evaluations": 1}


def question(number: int, edition: str = "") -> dict:
    """A source row; another `edition` of it asks something else."""
    return {"id": f"<{number}>", "messages": [{"role": "user", "content": f"Question <{number}>{edition}?"}]}


def scored(number: int) -> dict:
    """A held-out row."""
    row = question(number)
    return {**row, "messages": [*row["messages"], {"role": "assistant", "content": "answer"}]}


def write_part(path: Path, rows: list[dict]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


def edit(path: Path, *lines: int) -> list[str]:
    """Let these lines of a file ask something else; returns what they ask now."""
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    for line in lines:
        rows[line] = question(int(rows[line]["id"].strip("<>")), " again")
    write_part(path, rows)
    return [rows[line]["messages"][0]["content"] for line in lines]


def write_automated_project(folder: Path, server: FaultServer) -> Path:
    """Write the project and its files; returns the config's path."""
    write_model(folder / "tiny-student")
    for part in range(7):
        numbers = range(SMALL_ROWS * part, SMALL_ROWS * (part + 1))
        write_part(folder / f"data/train/part-{part:02}.jsonl", [question(n) for n in numbers])
    write_part(folder / f"data/train/{BIG}.jsonl", [question(n) for n in range(1000, 1000 + BIG_ROWS)])
    write_part(folder / "data/test.jsonl", [scored(n) for n in TEST_ROWS])
    endpoint = {"url": server.url, "model": "made", "concurrency": 32, "attempts": 1}
    changes = {
        "data": {"train": "data/train/*.jsonl", "validation": [], "test": "data/test.jsonl"},
        "teacher": {"endpoint": endpoint, "generation": {"max_new_tokens": 16}, "smoke": {"rows": 0}},
        "student": {"model": {"name": str(folder / "tiny-student")}, "training": STUDENT},
        "quality.near_duplicate_similarity": None,  # the questions differ in a number
        "automation": {"enabled": True, "observe_seconds": 5},
        "evaluation.latency_requests": 2,
    }
    path = folder / "distill.yaml"
    path.write_text(yaml.safe_dump(tiny_settings(**changes)))
    return path


class Watched:
    """The project while a daemon serves it: what was made, and whether anything is left to do."""

    def __init__(self, server: DevServer, instance: dg.DagsterInstance) -> None:
        self.server, self.instance = server, instance
        self.project = Project(load_config(server.config))
        self.removed: set[str] = set()  # shards whose file a test takes away: a run that was asked for then may fail

    def made(self) -> Counter[str]:
        """Artefact -> how often it was really made, such as `teacher_outputs[train-part-03]` -> 1."""
        found: Counter[str] = Counter()
        for stage in stages_of(self.project.config):
            for record in self.instance.fetch_materializations(dg.AssetKey(stage.name), limit=1000).records:
                event = record.asset_materialization
                if event and "skipped" in event.metadata and event.metadata["skipped"].value is False:
                    found[f"{stage.name}[{event.partition}]" if event.partition else stage.name] += 1
        return found

    def versions(self) -> dict[str, str]:
        """Artefact -> its published version."""
        store, shards = self.project.store, sorted(Snapshot(self.project).sources)
        return {
            f"{stage.name}[{shard}]" if shard else stage.name: manifest.version
            for stage in stages_of(self.project.config)
            for shard in (shards if stage.sharded else [None])
            if (manifest := store.find(stage.name, shard))
        }

    def taught(self) -> set[tuple[str, str]]:
        """(row id, question) of every row of the set that the published student was trained on."""
        store = self.project.store
        examples, student = store.get("validated_synthetic_set"), store.get("student_checkpoint")
        assert student.inputs["validated_synthetic_set"] == examples.data_version
        rows = parquet.read_table(examples.file(files.EXAMPLES_FILE), ["row_id", "messages"])
        return {(row["row_id"], row["messages"][-2]["content"]) for row in rows}

    def in_files(self) -> set[tuple[str, str]]:
        """(row id, question) of every row of the training and validation files."""
        lines = [line for s in Snapshot(self.project).sources.values() for line in Path(s.url).read_text().splitlines()]
        return {(row["id"], row["messages"][0]["content"]) for row in map(json.loads, lines)}

    def running(self, asset: str, shard: str | None = None) -> bool:
        """Whether a run is making the artefact now."""
        runs = self.instance.get_runs(dg.RunsFilter(statuses=[dg.DagsterRunStatus.STARTED]))
        return any(
            {"STEP_START"} == {entry.dagster_event_type.value for entry in self._steps(run.run_id, asset)}
            for run in runs
            if run.tags.get("dagster/partition") == shard
        )

    def _steps(self, run_id: str, asset: str) -> list[dg.EventLogEntry]:
        kinds = {dg.DagsterEventType.STEP_START, dg.DagsterEventType.STEP_SUCCESS, dg.DagsterEventType.STEP_FAILURE}
        return [entry for entry in self.instance.all_logs(run_id, of_type=kinds) if entry.step_key == asset]

    def wait(self, condition, what: str) -> None:
        """Wait for something, while nothing fails."""
        wait_for(lambda: self._nothing_failed() and condition(), what)

    def settle(self) -> None:
        """Wait until all is fresh and nothing runs, and then for a look at the files and two ticks that want nothing.

        One tick sees everything that happened before it; the second one sees what the first one only remembered.
        """
        deadline = time.monotonic() + PATIENCE
        quiet_since = None
        while quiet_since is None or not self._looked(quiet_since):
            if time.monotonic() > deadline:
                pytest.fail(f"not settled; open: {self._open()}, runs: {self._active()}")
            is_quiet = self._nothing_failed() and not self._active() and not self._open()
            quiet_since = (quiet_since or time.time()) if is_quiet else None
            time.sleep(1)

    def _nothing_failed(self) -> bool:
        expected = self.failed_of_removed()
        for run in self._failed():
            if run.run_id in expected:
                continue
            errors = [entry.user_message for entry in self.instance.all_logs(run.run_id) if entry.level >= 40]
            pytest.fail(f"the run of {run.asset_selection} {run.tags.get('dagster/partition')} failed: {errors}")
        assert self.server.process.poll() is None, self.server.log()
        return True

    def failed_of_removed(self) -> set[str]:
        """The ids of failed runs for files that the test has removed."""
        return {run.run_id for run in self._failed() if run.tags.get("dagster/partition") in self.removed}

    def _failed(self) -> Sequence[dg.DagsterRun]:
        ended = [dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED]
        return self.instance.get_runs(dg.RunsFilter(statuses=ended))

    def _active(self) -> list[str]:
        active = [
            status
            for status in dg.DagsterRunStatus
            if status not in (dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED)
        ]
        runs = self.instance.get_runs(dg.RunsFilter(statuses=active))
        backfills = [backfill for backfill in self.instance.get_backfills() if backfill.status.value == "REQUESTED"]
        return [f"{run.asset_selection} {run.tags.get('dagster/partition')}" for run in runs] + [
            backfill.backfill_id for backfill in backfills
        ]

    def is_asked_for(self, *shards: str) -> bool:
        """Whether a run of one of these shards is on or will be."""
        return any(f" {shard}" in run for run in self._active() for shard in shards)

    def _open(self) -> list[str]:
        return [
            f"{step.asset}[{step.shard}]: {step.state}"
            for step in list_steps(Snapshot(self.project))
            if not step.is_fresh
        ]

    def _looked(self, since: float) -> bool:
        return self._idle_ticks("observe_sources", since) >= 1 and self._idle_ticks("redistill", since) >= 2

    def _idle_ticks(self, sensor: str, since: float) -> int:
        (state,) = (state for state in self.instance.all_instigator_state() if state.instigator_name == sensor)
        ticks = self.instance.get_ticks(state.instigator_origin_id, state.selector_id, limit=5)
        assert not [tick.error for tick in ticks if tick.error]
        return sum(tick.timestamp >= since and tick.status.value == "SKIPPED" for tick in ticks)
