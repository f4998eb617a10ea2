"""How long the sensor `observe_sources` takes to look at 1,000 source files: once every 30 seconds, for ever.

    tick_s_1000_shards             nothing changed: the usual tick; the median of several
    tick_s_1000_shards_cpu         the same by CPU time, which a busy machine does not change
    tick_s_1000_shards_changed     one file has other rows; the median of several
    tick_s_1000_shards_first       all of them are new: 1,000 partitions are added and 1,000 versions reported, in the
                                   sum of the ticks that it takes (first_look.py has the longest of them)

The files are real, and so is the Dagster instance: SQLite databases in a folder, set up by operations/dagster.yaml as
those of `distill-dagster dev` are. A tick is the sensor's whole evaluation with its resource, as the daemon asks for
it. The store holds a folder for each shard, as after a run: a tick looks for those of removed files. The times of the
files are in the past, since one that was written just now is read again at each tick.
"""

import os
import shutil
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import dagster as dg

from distill_dagster.config import DistillConfig
from distill_dagster.config.reading import check_config
from distill_dagster.definitions import build_definitions
from distill_dagster.lineage.project import Project
from distill_dagster.lineage.stages import stages_of
from distill_dagster.operations.instance import INSTANCE_CONFIG

SHARDS, ROWS, ROUNDS = 1_000, 20, 7
AN_HOUR = 3_600


def measure() -> dict[str, float]:
    """Seconds of each kind of tick."""
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder) / "dagster"
        home.mkdir()
        shutil.copy(INSTANCE_CONFIG, home)
        sources = [_write_rows(Path(folder) / f"train/part-{n:04}.jsonl", n) for n in range(SHARDS)]
        config = _config(Path(folder))
        _make_folders(config, _keys(sources))
        with dg.DagsterInstance.from_config(str(home)) as instance:
            return _measure(Sensor(config, instance), sources)


def _measure(sensor: "Sensor", sources: list[Path]) -> dict[str, float]:
    first = sum(sensor.first_look())
    idle = [sensor.tick("no source file changed") for _ in range(ROUNDS)]
    changed = []
    for n, path in enumerate(sources[:ROUNDS]):
        _write_rows(path, SHARDS + n)
        changed.append(sensor.tick(f"changed: {_keys([path])[0]}")[0])
    seconds, cpu_seconds = (statistics.median(column) for column in zip(*idle, strict=True))
    return {
        "tick_s_1000_shards": seconds,
        "tick_s_1000_shards_cpu": cpu_seconds,
        "tick_s_1000_shards_changed": statistics.median(changed),
        "tick_s_1000_shards_first": first,
    }


class Sensor:
    """The code location's sensor with its resources, on an instance."""

    def __init__(self, config: DistillConfig, instance: dg.DagsterInstance) -> None:
        self._definitions, self._instance = build_definitions(config), instance
        self._sensor = self._definitions.resolve_sensor_def("observe_sources")

    def first_look(self) -> list[float]:
        """Wall seconds of each tick until no file is left."""
        ticks, said = list[float](), "left for the next look"
        while "left for the next look" in said:
            seconds, _, said = self._evaluate()
            assert said.startswith("changed: "), said
            ticks.append(seconds)
        return ticks

    def tick(self, said: str) -> tuple[float, float]:
        """Wall and CPU seconds of an evaluation, which must say this."""
        seconds, cpu_seconds, found = self._evaluate()
        assert found == said, found
        return seconds, cpu_seconds

    def _evaluate(self) -> tuple[float, float, str]:
        resources: dict[str, Any] = {"project": self._definitions.resources["project"]}  # pyright: ignore[reportOptionalSubscript]
        started, cpu = time.perf_counter(), time.process_time()
        with dg.build_sensor_context(self._instance, resources=resources) as context:
            tick = self._sensor.evaluate_tick(context)
        seconds, cpu_seconds = time.perf_counter() - started, time.process_time() - cpu
        return seconds, cpu_seconds, tick.skip_message or ""


def _config(folder: Path) -> DistillConfig:
    model = {"architecture": "llama", "settings": {}}
    settings = {
        "task": "qa",
        "store": str(folder / "store"),
        "data": {"train": str(folder / "train/*.jsonl"), "test": str(_write_rows(folder / "test.jsonl", -1))},
        "teacher": {"model": model, "fit": {}},
        "student": {"model": {**model, "tokenizer": "teacher"}},
    }
    return check_config(settings, "benchmarks/automation.py")


def _make_folders(config: DistillConfig, keys: list[str]) -> None:
    """The folders of all shards in the store."""
    for stage in stages_of(config):
        for key in keys if stage.sharded else ():
            Project(config).store.folder(stage.name, key).mkdir(parents=True)


def _write_rows(path: Path, number: int) -> Path:
    """A file of rows that no other number has, an hour old."""
    path.parent.mkdir(exist_ok=True)
    asked = (f"What is {row} and {number}?" for row in range(ROWS))
    path.write_text("".join(f'{{"messages": [{{"role": "user", "content": "{text}"}}]}}\n' for text in asked))
    written = time.time() - AN_HOUR + max(0, number - SHARDS)
    os.utime(path, (written, written))
    return path


def _keys(sources: list[Path]) -> list[str]:
    return [f"train-{path.stem}" for path in sources]
