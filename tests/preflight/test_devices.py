"""GPUs, main memory and packages that the config asks for and the machine lacks."""

from distill_dagster import process
from distill_dagster.models.engines import vllm_offline
from distill_dagster.preflight import devices
from testing.projects import write_project
from tests.preflight.looks import errors, look_at


def test_a_gpu_that_is_wanted_and_not_there_is_named(tmp_path):
    path = write_project(tmp_path, **{"compute.train": {"gpus": 1, "cpu": False}})
    assert list(errors(path, whole=False)) == [("device", "student_checkpoint")]


def test_more_memory_than_any_gpu_has_is_named(tmp_path, one_gpu):
    changes = {"compute.devices": "auto", "compute.train": {"gpus": 1, "memory_gb": 80, "cpu": False}}
    found = errors(write_project(tmp_path, **changes), plans_memory=False)
    assert "with 80 GB asked for" in found["device", "student_checkpoint"]


def test_a_gpu_that_nvidia_smi_does_not_list_is_a_warning(tmp_path, one_gpu):
    found = look_at(write_project(tmp_path, **{"compute.devices": ["3"]}), whole=False)
    assert {r.state for r in found if r.what == "device"} == {"warning"}
    assert any("GPU 3; nvidia-smi lists 0" in r.found for r in found)


def test_a_torch_without_cuda_is_named(tmp_path, one_gpu, monkeypatch):
    monkeypatch.setattr(devices, "_torch_finds_cuda", lambda: False)
    found = errors(write_project(tmp_path, **{"compute.devices": "auto"}), plans_memory=False)
    assert "CUDA build of torch" in found["device", "student_checkpoint"]


def test_a_teacher_is_spread_over_its_gpus_and_processes_share_the_main_memory(tmp_path, two_gpus, monkeypatch):
    changes = {"compute.devices": "auto", "compute.generate": {"gpus": 2}}
    found = {(r.what, r.of): r.found for r in look_at(write_project(tmp_path, **changes))}
    assert "of 32.0 GB of 2 GPUs" in found["memory", "teacher_outputs"]
    monkeypatch.setattr(devices, "main_memory_gb", lambda: 24.0)
    changes = {"compute.devices": [], "compute.train": {"processes": 3}}
    found = {(r.what, r.of): r.found for r in look_at(write_project(tmp_path, **changes))}
    assert "of 8.0 GB of main memory for each of 3 processes" in found["memory", "student_checkpoint"]


def test_a_container_has_the_memory_of_its_limit(tmp_path, monkeypatch):
    limit = tmp_path / "memory.max"
    monkeypatch.setattr(process, "CGROUP_LIMITS", (str(limit),))
    limit.write_text("max\n")
    free = devices.main_memory_gb()
    limit.write_text(f"{2**29}\n")
    assert devices.main_memory_gb() == 0.5 < free


def test_vllm_that_is_not_there_or_has_no_gpu_is_found_before_the_run(tmp_path, monkeypatch):
    changes = {"teacher.generation.engine": "vllm", "compute.backend": "subprocess"}
    path = write_project(tmp_path, **changes)
    asked = ("engine", "teacher_outputs")
    monkeypatch.setattr(vllm_offline.importlib.util, "find_spec", lambda name: None)
    assert "install `distill-dagster[vllm]`" in errors(path, whole=False)[asked]
    monkeypatch.setattr(vllm_offline.importlib.util, "find_spec", lambda name: name)
    assert "would run on the CPU" in errors(path, whole=False)[asked]
    ours = write_project(tmp_path / "ours")
    assert asked not in errors(ours, whole=False)
