"""A training's numbers are observations of its asset while it still runs, in this process and in a child."""

import sys
import threading
import time
from pathlib import Path

import dagster as dg
import pytest

from distill_dagster.config import Need, StudentTrainingConfig
from distill_dagster.progress import listen
from distill_dagster.resources.compute import Compute
from distill_dagster.resources.compute.points import whole_lines
from distill_dagster.resources.gpu import GpuPool
from distill_dagster.training.specs import TrainSpec
from testing.models_tiny import write_examples, write_model
from testing.waiting import wait_for

pytestmark = pytest.mark.processes

HOLD_AT = 10  # of 16 steps
KEY = dg.AssetKey("trained")
# an interpreter whose worker waits in the middle of its training until a file is there
CHILD = """#!{python}
import os, sys, time
from pathlib import Path
from distill_dagster.progress import listen
from distill_dagster.workers import main

def hold(progress):
    while progress.done == {step} and not Path({seen!r}).exists():
        time.sleep(0.05)

if sys.argv[1:] != ["-m", "distill_dagster.workers"]:  # Dagster starts a watcher with it too
    os.execv({python!r}, [{python!r}, *sys.argv[1:]])
with listen(hold):
    sys.exit(main([]))
"""


def holding(seen: Path):
    """A listener that waits in the middle of a training until the file is there."""

    def hold(progress):
        while progress.done == HOLD_AT and not seen.exists():
            time.sleep(0.05)

    return hold


@pytest.fixture
def training(tmp_path):
    """An asset that trains a tiny student in 16 steps with 4 validation losses, and holds in between."""
    (tmp_path / "out").mkdir()
    base = write_model(tmp_path / "base")
    paths = {name: str(tmp_path / name) for name in ("out", "work", "tensorboard")}
    config = StudentTrainingConfig(learning_rate=5e-3, epochs=2, batch_size=8, evaluations=4, max_length=64)
    examples = str(write_examples(tmp_path / "examples.parquet"))
    models = {"student_base": base, "teacher": base, "name": "tiny", "task": "nli"}
    spec = TrainSpec(**models, training=config, examples=examples, **paths)

    @dg.asset
    def trained(context: dg.AssetExecutionContext, compute: Compute) -> dg.MaterializeResult:
        with listen(holding(tmp_path / "seen")):
            result = compute.run(context, "train_student", spec)
        return dg.MaterializeResult(metadata={"steps": result.counts.steps})

    return trained


def observed(instance):
    """The numbers of each observation, the first one first."""
    records = instance.fetch_observations(KEY, limit=100, ascending=True).records
    return [{name: value.value for name, value in record.asset_observation.metadata.items()} for record in records]


@pytest.mark.parametrize("backend", ["inline", "subprocess"])
def test_the_curve_grows_while_the_training_runs(training, tmp_path, monkeypatch, backend):
    interpreter, seen = tmp_path / "python", tmp_path / "seen"
    interpreter.write_text(CHILD.format(python=sys.executable, step=HOLD_AT, seen=str(seen)))
    interpreter.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(interpreter))
    compute = Compute.of(Need(), GpuPool(devices=[]), backend)
    with dg.instance_for_test() as instance:
        ended: list[bool] = []

        def run():
            ended.append(dg.materialize([training], resources={"compute": compute}, instance=instance).success)

        thread = threading.Thread(target=run)
        thread.start()
        try:
            wait_for(lambda: len(observed(instance)) >= HOLD_AT - 1, "the first points of the curve")
            (during,) = instance.get_runs()
            early = observed(instance)
        finally:
            seen.touch()
            thread.join()
        points = observed(instance)
        (materialization,) = instance.fetch_materializations(KEY, limit=5).records
    assert during.status == dg.DagsterRunStatus.STARTED
    assert ended == [True]
    assert early == points[: len(early)]
    assert [point["step"] for point in points] == list(range(1, 17))
    assert [point["step"] for point in points if "validation_loss" in point] == [4, 8, 12, 16]
    assert all({"loss", "learning_rate", "gradient_norm", "tokens_per_second"} <= point.keys() for point in points)
    assert materialization.asset_materialization.metadata["steps"].value == 16


def test_a_line_that_is_still_being_written_is_waited_for(tmp_path):
    """A large result is written in several parts; Dagster's reader took the first part for the whole."""
    path, looks = tmp_path / "messages", []
    path.write_text('{"first": 1}\n{"second": ')

    def ended() -> bool:
        looks.append(1)
        if len(looks) == 4:  # the part was read, and then nothing
            with path.open("a") as file:
                file.write('2}\n{"third": ')
        return len(looks) > 6

    assert list(whole_lines(path, ended)) == ['{"first": 1}\n', '{"second": 2}\n']


def test_what_was_written_just_before_the_end_is_read(tmp_path):
    path = tmp_path / "messages"
    path.write_text('{"first": 1}\n{"second": 2}\n')
    assert len(list(whole_lines(path, lambda: True))) == 2
