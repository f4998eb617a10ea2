"""A leased GPU becomes cuda:0 of the child process that runs the worker. Needs Dagster, CUDA and nvidia-smi."""

import sys
from pathlib import Path

import pytest
import torch

from distill_dagster.config import Need
from distill_dagster.training.specs import TrySpec
from testing.models_tiny import write_examples, write_model

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="this torch finds no CUDA device"),
]


def noting_interpreter(folder: Path) -> tuple[str, Path]:
    """A script that notes CUDA_VISIBLE_DEVICES and then runs Python: its path, and the note's."""
    seen, script = folder / "seen", folder / "python"
    script.write_text(f'#!/bin/sh\necho "$CUDA_VISIBLE_DEVICES" > {seen}\nexec {sys.executable} "$@"\n')
    script.chmod(0o755)
    return str(script), seen


def test_a_leased_device_is_cuda_0_of_the_worker(tmp_path, monkeypatch):
    dg = pytest.importorskip("dagster", exc_type=ImportError)
    from distill_dagster.resources.compute import Compute
    from distill_dagster.resources.gpu import GpuPool, machine_devices

    interpreter, seen = noting_interpreter(tmp_path)
    monkeypatch.setattr(sys, "executable", interpreter)
    device = list(machine_devices())[-1]  # not the first one, where there are several
    pool = GpuPool(devices=[device], lock_folder=str(tmp_path / "locks"))
    spec = TrySpec(
        model=write_model(tmp_path / "model"),
        examples=write_examples(tmp_path / "examples.parquet"),
        max_new_tokens=8,
        batch_tokens=512,
    )
    made = []

    @dg.asset
    def trial(context: dg.AssetExecutionContext, compute: Compute):
        made.append(compute.run(context, "try_model", spec))
        yield dg.MaterializeResult()

    dg.materialize([trial], resources={"compute": Compute.of(Need(gpus=1, cpu=False), pool, "subprocess")})
    (result,) = made
    assert seen.read_text() == f"{device}\n"
    assert result.leased == [device]
    assert result.counts.asked == 3
    assert result.usage.device == "cuda:0"
    assert result.usage.gpu_seconds > 0
    assert result.usage.peak_memory_bytes > 0  # the child's own, on the device
