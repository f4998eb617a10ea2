"""What ends a training in child processes leaves none of them and no lease behind, and says what happened."""

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

from distill_dagster.config import Need, StudentTrainingConfig
from distill_dagster.ranks.failure import report_of
from distill_dagster.training.checkpoints import is_complete, latest
from distill_dagster.training.specs import TrainSpec
from distill_dagster.training.student import train_student
from testing.models_tiny import write_examples, write_model
from testing.ranks_parent import DEVICES, pool_in
from testing.waiting import PATIENCE, wait_for

ROOT = Path(__file__).parents[2]


@dataclass
class Training:
    """A run that trains in two ranks."""

    spec: TrainSpec
    locks: str
    run: subprocess.Popen[str]

    def processes(self) -> dict[str, psutil.Process]:
        """The run, its launcher and its ranks; a single process is its own launcher."""
        run = psutil.Process(self.run.pid)
        (launcher,) = run.children()
        ranks = {f"rank {rank.environ()['RANK']}": rank for rank in launcher.children()}
        return {"run": run, "launcher": launcher, **ranks}

    def checkpoints(self) -> list[Path]:
        return [path.parent for path in Path(self.spec.work).glob("runs/*/checkpoint-*/complete.json")]

    def lease(self) -> list[str]:
        with pool_in(self.locks).lease(Need(gpus=2)) as devices:
            return devices


@pytest.fixture
def start(tmp_path):
    """Start a training of the given settings; what is left of it is ended after the test."""
    started: list[psutil.Process] = []
    base = write_model(tmp_path / "base")
    examples = write_examples(tmp_path / "examples.parquet", 25, 3)

    def begin(ranks: int = 2, **training) -> Training:
        (tmp_path / "out").mkdir(exist_ok=True)
        settings = {"learning_rate": 5e-3, "batch_size": 6, "max_length": 64, "early_stopping_patience": None}
        paths = {"examples": examples, "out": str(tmp_path / "out"), "work": str(tmp_path / "work")}
        config = StudentTrainingConfig(**settings, **training)
        spec = TrainSpec(student_base=base, teacher=base, task="qa", training=config, name="tiny", **paths)
        (tmp_path / "spec.json").write_text(spec.model_dump_json())
        locks = str(tmp_path / "locks")
        command = [sys.executable, "-m", "testing.ranks_parent", str(tmp_path / "spec.json"), locks, str(ranks)]
        (tmp_path / "temporary").mkdir(exist_ok=True)
        env = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "TMPDIR": str(tmp_path / "temporary")}
        run = subprocess.Popen(command, cwd=ROOT, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        started.append(psutil.Process(run.pid))
        return Training(spec, locks, run)

    yield begin
    for process in started:
        with contextlib.suppress(psutil.NoSuchProcess):
            for one in [*process.children(recursive=True), process]:
                one.kill()


ENDLESS = {"epochs": 1000, "evaluations": 1000}
SAID = {"rank 1": "ComputeError: rank 1 was ended by SIGKILL", "launcher": "failed with code -9"}


@pytest.mark.processes
@pytest.mark.parametrize(
    ("killed", "parallel"), [("rank 1", "ddp"), ("rank 1", "fsdp"), ("launcher", "ddp"), ("run", "fsdp")]
)
def test_a_kill_leaves_no_process_and_frees_the_lease(start, killed, parallel):
    training = start(**ENDLESS, parallel=parallel)
    wait_for(training.checkpoints, "a checkpoint")
    processes = training.processes()
    assert set(processes) == {"run", "launcher", "rank 0", "rank 1"}
    processes[killed].kill()
    said, errors = training.run.communicate(timeout=PATIENCE)
    _, alive = psutil.wait_procs(list(processes.values()), timeout=PATIENCE)
    assert not alive
    assert training.lease() == DEVICES
    assert not list(Path(training.spec.out).iterdir())
    if killed != "run":
        assert SAID[killed] in said, errors
    (folder,) = {path.parent for path in training.checkpoints()}
    checkpoint = latest(folder)
    assert checkpoint is not None
    if parallel == "fsdp":
        next(checkpoint.rglob("__1_*.distcp")).unlink()  # what rank 1 wrote
        assert latest(folder) != checkpoint
        assert not checkpoint.exists()


@pytest.mark.processes
@pytest.mark.parametrize(
    ("ranks", "others", "parallel"), [(1, 1, "auto"), (2, 1, "ddp"), (2, 3, "fsdp")], ids=["one", "ddp", "fsdp"]
)
def test_a_run_that_is_ended_writes_a_checkpoint_from_which_other_ranks_go_on(start, ranks, others, parallel):
    """By itself it writes one after each 50 of its 200 steps."""
    settings = {"epochs": 40, "evaluations": 4, "parallel": parallel}
    training = start(ranks, **settings)
    wait_for(training.checkpoints, "a checkpoint")
    processes = training.processes()
    training.run.send_signal(signal.SIGINT)  # as the process of a run gets it from Dagster
    _, errors = training.run.communicate(timeout=PATIENCE)
    _, alive = psutil.wait_procs(list(processes.values()), timeout=PATIENCE)
    assert not alive
    (step,) = map(int, re.findall(r"asked to end: the checkpoint of step (\d+) is written", errors))
    (folder,) = {path.parent for path in training.checkpoints()}
    assert is_complete(folder / f"checkpoint-{step}")
    assert 50 < step < 200
    again = start(others, **settings)
    said, errors = again.run.communicate(timeout=PATIENCE)
    result = json.loads(said)
    assert result["resumed_from_step"] == step, errors
    assert result["counts"]["steps"] == 200
    paths = {"out": f"{again.spec.out}/unbroken", "work": f"{again.spec.work}/unbroken"}
    Path(paths["out"]).mkdir()
    unbroken = train_student(again.spec.model_copy(update=paths), "cpu")
    assert result["best_validation_loss"] == pytest.approx(unbroken.best_validation_loss, rel=1e-3)


@pytest.mark.processes
def test_the_error_of_a_user_keeps_its_kind_and_words_and_leaves_no_file(start, tmp_path):
    training = start(epochs=1, lora={"targets": ["q_proi"]})
    said, errors = training.run.communicate(timeout=PATIENCE)
    assert said.startswith("TrainingError: `lora.targets: ['q_proi']`"), said + errors
    assert not list((tmp_path / "temporary").iterdir())


def test_a_rank_without_an_error_file_is_described_by_its_end(tmp_path):
    killed, failed = (report_of(1, status, str(tmp_path / "none"))["message"] for status in (-9, 1))
    assert killed.startswith("rank 1 was ended by SIGKILL: most often the machine had no memory left")
    assert failed == "rank 1 ended with status 1, and its log is above; the others were ended with it"
