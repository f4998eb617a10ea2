"""Another machine makes the models' speed stale, and nothing else; the same machine never does."""

import pytest

from distill_dagster.config import ComputeConfig
from distill_dagster.config.reading import load_config
from distill_dagster.evaluation.speed import hardware
from distill_dagster.evaluation.speed.hardware import machine_for
from distill_dagster.evaluation.speed.specs import SpeedResult
from distill_dagster.lineage.because import because
from distill_dagster.lineage.freshness import code_versions, inputs_of, is_fresh
from distill_dagster.lineage.snapshot import Snapshot
from distill_dagster.lineage.stages import stages_of
from testing.projects import write_project


def stale(project) -> set[str]:
    look = Snapshot(project)
    return {s.name for s in stages_of(project.config) if not s.sharded and not is_fresh(look, s.name)}


def test_another_processor_makes_the_speed_stale_and_nothing_else(made, monkeypatch):
    project, _, _ = made
    assert stale(project) == set()
    monkeypatch.setattr(hardware, "processor", lambda: "another processor")
    assert stale(project) == {"speed_benchmark"}
    look = Snapshot(project)
    assert because(look, "speed_benchmark", None, inputs_of(look, "speed_benchmark")) == "the hardware changed"


@pytest.mark.parametrize("variable", ["OMP_NUM_THREADS", "DISTILL_ANYTHING"])
def test_threads_and_other_settings_of_the_shell_make_nothing_stale(made, monkeypatch, variable):
    monkeypatch.setenv(variable, "1")
    assert stale(made[0]) == set()


def test_the_figures_are_those_of_the_machine_that_the_fingerprint_names(made):
    manifest = made[0].store.get("speed_benchmark")
    assert manifest.read(SpeedResult).machine.model_dump() == manifest.inputs["hardware"]


def test_dagster_sees_another_machine_when_it_loads_the_lineage(tmp_path, monkeypatch):
    config = load_config(write_project(tmp_path))
    before = code_versions(config)
    monkeypatch.setattr(hardware, "processor", lambda: "another processor")
    after = code_versions(config)
    assert {name for name in before if before[name] != after[name]} == {"speed_benchmark", "eval_report"}


NVIDIA_SMI = """#!/bin/sh
echo "0, GPU-a, NVIDIA L4"
echo "1, GPU-b, NVIDIA L4"
echo "2, GPU-c, NVIDIA H100, 80 GB"
"""


@pytest.fixture
def gpus(tmp_path, monkeypatch):
    (tmp_path / "nvidia-smi").write_text(NVIDIA_SMI)
    (tmp_path / "nvidia-smi").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    hardware.gpu_names.cache_clear()
    yield
    hardware.gpu_names.cache_clear()


@pytest.mark.processes
@pytest.mark.parametrize(
    ("visible", "names"),
    [
        (None, ["NVIDIA H100, 80 GB", "NVIDIA L4"]),
        ("0,1", ["NVIDIA L4"]),
        ("GPU-c", ["NVIDIA H100, 80 GB"]),
        ("", []),
    ],
)
def test_the_gpus_are_those_that_may_be_leased_each_kind_once(gpus, monkeypatch, visible, names):
    if visible is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    assert machine_for(ComputeConfig()).gpus == names
    assert machine_for(ComputeConfig(devices=[])).gpus == []
    on_the_cpu = ComputeConfig.model_validate({"benchmark": {"gpus": 0}})
    assert machine_for(on_the_cpu).gpus == []


def test_a_machine_without_a_driver_has_no_gpu(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    hardware.gpu_names.cache_clear()
    assert machine_for(ComputeConfig()).gpus == []
    hardware.gpu_names.cache_clear()
