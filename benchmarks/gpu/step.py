"""The part `step_vs_trl`: an optimizer step on fixed rollouts, TRL's DistillationTrainer against ours.

Teacher and student have the size's shape. The weights of the student are float32 and the arithmetic is bfloat16 on
both sides; TRL's teacher is held as bfloat16. Our batches are collated before the step, as the trainer's loading
processes do it while the GPU computes; `collate_ms` says what one takes. Distributions are drawn, so losses differ.
"""

import gc
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from benchmarks._online import Rollouts, our_step, trl_step
from benchmarks.gpu.job import Figures, Job
from distill_dagster.models.loading import open_model

ROUNDS = 4


def measure_step(job: Job) -> Figures:
    """Milliseconds of a step (the fastest of `ROUNDS`) and peak memory of each side."""
    try:
        import trl
    except ImportError as error:
        return {"status": "skipped", "reason": [f"trl cannot be imported: {error}"]}
    started, size, folder = time.perf_counter(), job.size, Path(job.out("step"))
    vocabulary = json.loads((Path(job.ref.path) / "config.json").read_text(encoding="utf-8"))["vocab_size"]
    rollouts = Rollouts.drawn(size.batch_size, size.prompt_words, size.answer_words, vocabulary)
    signal = rollouts.signal(folder)
    collating = time.perf_counter()
    batch = signal.collate(rollouts.examples)
    collated = time.perf_counter() - collating

    def theirs() -> Callable[[], float]:
        teacher = _student(job).to(job.device, torch.bfloat16 if job.device.startswith("cuda") else torch.float32)
        return trl_step(_student(job).to(job.device), teacher, rollouts, folder, job.device)

    trl_ms, trl_bytes = _cost(theirs, job.device)
    our_ms, our_bytes = _cost(
        lambda: our_step(_student(job).to(job.device), signal, lambda: batch, job.device), job.device
    )
    tokens = size.batch_size * (size.prompt_words + size.answer_words)
    return {
        "seconds": time.perf_counter() - started,
        "peak_memory_bytes": our_bytes,
        "trl_peak_memory_bytes": trl_bytes,
        "tokens": tokens,
        "tokens_per_second": tokens / our_ms * 1000,
        "trl_step_vs_ours": trl_ms / our_ms,
        "step_ms": our_ms,
        "trl_step_ms": trl_ms,
        "collate_ms": 1000 * collated,
        "trl": trl.__version__,
    }


def _student(job: Job) -> Any:
    """The model that `prepare_model` has made, with float32 weights on the CPU."""
    return open_model(Path(job.ref.path), "float32")


def _cost(prepare: Callable[[], Callable[[], float]], device: str) -> tuple[float, int | None]:
    """Milliseconds of the fastest step, and the most memory that a GPU held for it, models and optimizer included."""
    on_gpu = device.startswith("cuda")
    before = torch.cuda.memory_allocated(device) if on_gpu else 0
    step, seconds = prepare(), []
    step()  # warms up, and makes the optimizer's state
    if on_gpu:
        torch.cuda.reset_peak_memory_stats(device)
    for _ in range(ROUNDS):
        started = time.perf_counter()
        step()  # ends with the loss as a number, which waits for the GPU
        if on_gpu:
            torch.cuda.synchronize(device)
        seconds.append(time.perf_counter() - started)
    peak = torch.cuda.max_memory_allocated(device) - before if on_gpu else None
    del step
    gc.collect()
    if on_gpu:
        torch.cuda.empty_cache()
    return 1000 * min(seconds), peak
