"""A training on all GPUs of the machine, as ranks; on a CPU in two processes. It needs no Dagster.

    python -m torch.distributed.run --standalone --nproc-per-node 2 -m benchmarks.gpu.ranks SPEC.json RESULT.json cuda:0

Rank 0 writes the result.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

from benchmarks.gpu.job import Figures, Job
from distill_dagster.config import StudentTrainingConfig
from distill_dagster.ranks import group
from distill_dagster.training.specs import TrainResult, TrainSpec
from distill_dagster.workers import run_worker

CPU_RANKS, LONGEST_S = 2, 200


def train_ranks(parallel: Literal["ddp", "fsdp"]) -> Callable[[Job], Figures]:
    """The part that trains on all GPUs, for one epoch; skipped on a machine with one."""

    def teach(job: Job) -> Figures:
        import torch

        ranks = torch.cuda.device_count() if job.device.startswith("cuda") else CPU_RANKS
        if ranks < 2:
            return {"status": "skipped", "reason": [f"the machine has {ranks} GPU, and ranks need two"]}
        training = StudentTrainingConfig(
            epochs=1, batch_size=job.size.batch_size * ranks, evaluations=1, parallel=parallel
        )
        spec = TrainSpec(
            student_base=job.ref,
            teacher=job.ref,
            training=training,
            examples=str(job.folder / "examples.parquet"),
            name="student",
            task="qa",
            out=job.out("student"),
            work=job.out("student-work"),
        )
        result = run_ranks(spec, ranks, job.device)
        shutil.rmtree(spec.out)
        shutil.rmtree(spec.work)
        assert result.usage is not None, "run_worker sets it"
        return {
            "seconds": result.usage.seconds,
            "peak_memory_bytes": result.usage.peak_memory_bytes,  # of rank 0
            "ranks": ranks,
            "tokens": result.counts.train_tokens,
            "tokens_per_second": result.tokens_per_second,  # with validation and checkpoint
            "validation_loss": result.best_validation_loss,
        }

    return teach


def run_ranks(spec: TrainSpec, ranks: int, device: str) -> TrainResult:
    """Train in so many processes by torchrun."""
    given, made = Path(spec.work) / "spec.json", Path(spec.work) / "result.json"
    given.parent.mkdir(parents=True, exist_ok=True)
    given.write_text(spec.model_dump_json(), encoding="utf-8")
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(ranks)]
    own: list[Any] = ["-m", "benchmarks.gpu.ranks", given, made, device]
    subprocess.run([*torchrun, *map(str, own)], check=True, timeout=LONGEST_S)
    return TrainResult.model_validate_json(made.read_text(encoding="utf-8"))


def main(given: str, made: str, device: str) -> None:
    """One rank of the training."""
    os.environ[group.LAUNCHER] = str(os.getppid())
    spec = TrainSpec.model_validate_json(Path(given).read_text(encoding="utf-8"))
    try:
        result = run_worker("train_student", spec, group.join(device))
    except group.RankEnded:
        return
    Path(made).write_text(result.model_dump_json(), encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
