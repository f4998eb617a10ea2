"""One worker, two backends: the same request gives the same result inline and in a Pipes child."""

import os
import re
import subprocess
import sys
import time

import dagster as dg
import pytest

from distill_dagster import process
from distill_dagster.config import GenerationConfig, Need, SmokeConfig, StudentTrainingConfig
from distill_dagster.errors import ComputeError, ModelError
from distill_dagster.generation.specs import GenerateSpec
from distill_dagster.models.ref import read_ref
from distill_dagster.progress import listen
from distill_dagster.resources.compute import Compute
from distill_dagster.resources.gpu import GpuPool, ordinal
from distill_dagster.store import files, hashing, parquet
from distill_dagster.teachers.faculty import Faculty, read_faculty
from distill_dagster.training.specs import TrainSpec
from testing.models_tiny import write_examples

pytestmark = pytest.mark.processes


def request_for(project, out, **changes) -> GenerateSpec:
    """Ask the made project's teacher for one shard again."""
    out.mkdir(exist_ok=True)
    fields = {
        "faculty": read_faculty(project.store.get("teacher_model").folder),
        "smoke": SmokeConfig(rows=0),
        "responses": str(out / "responses"),
        "journal": "validation",
        "generation": project.config.teacher.generation,
        "rows": str(project.store.get("raw_dataset", "validation").file(files.RAW_FILE)),
        "out": str(out),
    }
    return GenerateSpec(**{**fields, **changes})


def run_as_asset(compute: Compute, spec: GenerateSpec) -> tuple[dg.ExecuteInProcessResult, dict]:
    """Run the worker inside a real Dagster asset; what it produced, or the error it raised."""
    seen = {}

    @dg.asset
    def answers(context: dg.AssetExecutionContext, compute: Compute) -> None:
        try:
            seen["produced"] = compute.run(context, "generate_shard", spec)
        except (ComputeError, ModelError) as e:
            seen["error"] = e

    result = dg.materialize([answers], resources={"compute": compute}, raise_on_error=False)
    return result, seen


def compute_on(backend: str, **need) -> Compute:
    return Compute.of(Need(**need), GpuPool(devices=[]), backend)


def test_both_backends_give_the_same_rows_and_the_same_metadata(made, tmp_path):
    project, _, _ = made
    rows, produced = {}, {}
    for backend in ("inline", "subprocess"):
        request = request_for(project, tmp_path / backend)
        produced[backend] = run_as_asset(compute_on(backend), request)[1]["produced"]
        rows[backend] = parquet.read_table(tmp_path / backend / files.TEACHER_FILE)
    assert hashing.rows_hash(rows["inline"]) == hashing.rows_hash(rows["subprocess"])
    assert produced["inline"].data_version == produced["subprocess"].data_version
    assert produced["inline"].parts()[0] == produced["subprocess"].parts()[0]
    for one in produced.values():
        usage = one.usage
        assert usage.device == "cpu"
        assert usage.gpu_seconds == 0
        assert usage.seconds > 0
        assert usage.peak_memory_bytes > 2**20
        assert one.dtype == "float32"


@pytest.mark.parametrize("backend", ["inline", "subprocess"])
def test_the_log_of_a_training_has_loss_rate_and_time(made, tmp_path, backend):
    project, _, _ = made
    example = write_examples(tmp_path / "examples.parquet", 16)
    out, work = tmp_path / "out", tmp_path / "work"
    out.mkdir()
    student = read_ref(project.store.get("student_base").folder)
    training = StudentTrainingConfig(epochs=1, batch_size=8, evaluations=1, max_length=64)
    paths = {"examples": str(example), "out": str(out), "work": str(work)}
    spec = TrainSpec(student_base=student, teacher=student, training=training, name="tiny", task="nli", **paths)

    @dg.asset
    def trained(context: dg.AssetExecutionContext, compute: Compute) -> None:
        compute.run(context, "train_student", spec)

    with dg.instance_for_test() as instance, listen(lambda progress: None):  # as a terminal listens too
        how = {"instance": instance, "raise_on_error": False}  # a Pipes child reports no output of this asset
        run = dg.materialize([trained], resources={"compute": compute_on(backend)}, **how)
        lines = [entry.user_message for entry in instance.all_logs(run.run_id)]
    assert any(re.fullmatch(r"train tiny: 2 of 2, loss .*, learning rate .*, took .*", line) for line in lines), lines


@pytest.mark.parametrize("backend", ["inline", "subprocess"])
def test_a_users_error_keeps_its_kind_and_words_across_the_process_boundary(made, tmp_path, backend):
    project, _, _ = made
    model = read_ref(project.store.get("teacher_model").folder).model_copy(update={"path": str(tmp_path / "gone")})
    error = run_as_asset(
        compute_on(backend), request_for(project, tmp_path / "out", faculty=Faculty(teachers=[(1.0, model)]))
    )[1]["error"]
    assert isinstance(error, ModelError)
    assert str(tmp_path / "gone") in str(error)


def test_a_child_sees_only_the_leased_device(made, tmp_path, monkeypatch):
    """The interpreter that the child is started with is a script that notes its environment first."""
    project, _, _ = made
    seen, interpreter = tmp_path / "seen", tmp_path / "python"
    interpreter.write_text(f'#!/bin/sh\necho "$CUDA_VISIBLE_DEVICES" > {seen}\nexec {sys.executable} "$@"\n')
    interpreter.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(interpreter))
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1,2,3,4,5,6,7")
    pool = GpuPool(devices=["5"], lock_folder=str(tmp_path / "locks"))
    compute = Compute.of(Need(gpus=1), pool, "subprocess")
    error = run_as_asset(compute, request_for(project, tmp_path / "out"))[1]["error"]
    assert seen.read_text() == "5\n"
    assert "finds no CUDA" in str(error), (
        "this machine has none, and a leased device is not quietly swapped for the CPU"
    )


def test_an_inline_worker_gets_the_leased_devices_own_number(monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "5, GPU-1234")
    assert [ordinal("5"), ordinal("GPU-1234")] == [0, 1]
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES")
    assert ordinal("5") == 5


def test_a_need_that_the_machine_lacks_is_refused_before_anything_runs(made, tmp_path):
    project, _, _ = made
    _, seen = run_as_asset(compute_on("inline", gpus=2, cpu=False), request_for(project, tmp_path / "out"))
    assert isinstance(seen["error"], ComputeError)
    assert not list((tmp_path / "out").iterdir())


def test_a_worker_is_a_command_too(made, tmp_path):
    project, _, _ = made
    request = request_for(project, tmp_path / "out", generation=GenerationConfig(max_new_tokens=4))
    command = [sys.executable, "-m", "distill_dagster.workers", "generate_shard"]
    done = subprocess.run(command, input=request.model_dump_json(), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert '"counts"' in done.stdout
    assert (tmp_path / "out" / files.TEACHER_FILE).exists()


WAIT_FOR_EVER = """
import sys
from distill_dagster.process import end_with_parent
end_with_parent()
print("up", flush=True)
import time; time.sleep(120)
"""
PARENT = """
import subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", sys.argv[1]], stdout=subprocess.PIPE, text=True)
child.stdout.readline()
print(child.pid, flush=True)
time.sleep(120)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="the parent-death signal is Linux's")
def test_a_worker_does_not_outlive_the_run_that_leased_its_device():
    parent = subprocess.Popen([sys.executable, "-c", PARENT, WAIT_FOR_EVER], stdout=subprocess.PIPE, text=True)
    child = int(parent.stdout.readline())
    parent.kill()
    parent.wait()
    for _ in range(100):
        if not _alive(child):
            return
        time.sleep(0.1)
    os.kill(child, 9)
    pytest.fail("the child still runs, on a device that is leased to nobody")


def _alive(pid: int) -> bool:
    try:
        with open(f"/proc/{pid}/stat") as stat:
            return stat.read().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


ORPHAN = """
import os, subprocess, sys
from distill_dagster.process import PARENT, end_with_parent
end_with_parent()
print("goes on", PARENT in os.environ)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="the parent-death signal is Linux's")
@pytest.mark.parametrize("is_alive", [True, False])
def test_a_child_whose_parent_died_before_it_was_up_ends_at_once(is_alive):
    """Another process has adopted it by then."""
    parent = os.getpid() if is_alive else os.getppid()
    env = {**os.environ, process.PARENT: str(parent)}
    child = subprocess.run([sys.executable, "-c", ORPHAN], env=env, capture_output=True, text=True, check=False)
    assert (child.returncode, child.stdout) == ((0, "goes on False\n") if is_alive else (-9, ""))
