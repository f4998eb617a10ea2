"""Checks that a ratio of speeds is right or withheld under any load of the machine.

Two models of the demo's sizes, with random weights, are timed three times: on the machine as it is, beside one busy
loop, and beside a busy loop for each core. Each time, the latency ratio has an interval or is withheld. The last two
figures show what two separate benchmarks would say if the loops ran during only one of them.
"""

import contextlib
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from distill_dagster.config import ComputeConfig, EvaluationConfig, ModelConfig, SpeedConfig
from distill_dagster.config.reading import load_config
from distill_dagster.demo.project import write_demo
from distill_dagster.evaluation.speed.hardware import machine_for
from distill_dagster.evaluation.speed.specs import SpeedDocument, SpeedSpec, TimedModel
from distill_dagster.models.building import build, save, train_tokenizer
from distill_dagster.models.pinning import pin
from distill_dagster.sources.files.discovery import discover_test
from distill_dagster.sources.judging.verdicts import SourceReading
from distill_dagster.store import files, parquet, schemas
from distill_dagster.workers import run_worker

MAX_NEW_TOKENS = 24
LOOPS = {"quiet": 0, "one_loop": 1, "busy": os.cpu_count() or 1}
BUSY = "while True: pass"


@contextlib.contextmanager
def busy_loops(count: int) -> Iterator[None]:
    """Run processes that keep a core busy each."""
    loops = [subprocess.Popen([sys.executable, "-c", BUSY]) for _ in range(count)]
    try:
        yield
    finally:
        for loop in loops:
            loop.kill()
            loop.wait()


def models_in(folder: Path) -> tuple[list[TimedModel], str]:
    """The teacher and the student of the demo before any training, and the path of its test rows."""
    config = load_config(write_demo(folder))
    rows = [
        row
        for source in discover_test(config.data)
        for batch in SourceReading(source, config.data, config.task)
        for row in batch.rows.to_pylist()
    ]
    parquet.write_table(folder / "raw.parquet", rows, schemas.RAW)
    teacher, student = config.teacher.model, config.student.model
    assert teacher, "the demo builds its teacher"
    assert student, "and its student"
    tokenizer = train_tokenizer([m["content"] for row in rows for m in row["messages"]], teacher.vocab_size)
    for name, model in (("teacher", teacher), ("student", student)):
        save(build(model, tokenizer), tokenizer, folder / name)
    timed = [TimedModel(name=n, model=pin(ModelConfig(name=str(folder / n)))) for n in ("teacher", "student")]
    return timed, str(folder / "raw.parquet")


def timed_beside(loops: int, models: list[TimedModel], rows: str, out: Path) -> SpeedDocument:
    """The speed of the models beside this number of busy loops."""
    out.mkdir()
    spec = SpeedSpec(
        models=models,
        machine=machine_for(ComputeConfig(devices=[])),
        rows=rows,
        max_new_tokens=MAX_NEW_TOKENS,
        evaluation=EvaluationConfig(speed=SpeedConfig(concurrency=[1, 8])),
        responses=str(out / "responses"),
        out=str(out),
    )
    with busy_loops(loops):
        run_worker("time_models", spec)
    return SpeedDocument.model_validate_json((out / files.SPEED_FILE).read_text(encoding="utf-8"))


def measure() -> dict[str, float]:
    """The latency ratio with its interval for each load, or 1 under `…_withheld`."""
    with tempfile.TemporaryDirectory() as name:
        models, rows = models_in(Path(name))
        found = {load: timed_beside(count, models, rows, Path(name) / load) for load, count in LOOPS.items()}
    return {key: value for load, document in found.items() for key, value in _latency(load, document).items()} | (
        _at_different_times(found["quiet"], found["busy"])
    )


def _latency(load: str, document: SpeedDocument) -> dict[str, float]:
    ratio = document.ratio("latency")
    assert ratio is not None, "both models were timed"
    loads = [one.load_average[0] for one in document.rounds if one.load_average]
    facts = {f"{load}_rounds": len(document.rounds), f"{load}_load_average": max(loads, default=0.0)}
    if ratio.value is None or ratio.low is None or ratio.high is None:
        print(f"{load}: withheld, because {ratio.withheld}")
        return facts | {f"{load}_withheld": 1.0}
    values = {"": ratio.value, "_low": ratio.low, "_high": ratio.high}
    return facts | {f"{load}_latency_ratio{end}": value for end, value in values.items()}


def _at_different_times(quiet: SpeedDocument, busy: SpeedDocument) -> dict[str, float]:
    """The ratios of the medians if the loops run while only one of the two models is timed."""
    return {
        "apart_lowest_ratio": _median_ms(quiet, "teacher") / _median_ms(busy, "student"),
        "apart_highest_ratio": _median_ms(busy, "teacher") / _median_ms(quiet, "student"),
    }


def _median_ms(document: SpeedDocument, name: str) -> float:
    """The model's median latency with one request in flight."""
    (alone,) = (model.level(1) for model in document.models if model.name == name)
    assert alone is not None, "1 is among the numbers of requests in flight"
    assert alone.latency_ms.p50 is not None, "the model answered"
    return alone.latency_ms.p50
