"""The workers: functions that need a device, each with a typed request, run in this process or in their own.

    python -m distill_dagster.workers generate_shard --device cuda:0 < request.json

prints the result as JSON. Launched by Dagster Pipes (the `subprocess` backend) the same module takes its
request from the Pipes context and reports result, progress and user errors as Pipes messages; the only package
of Dagster that a worker's machine needs is `dagster-pipes`.
"""

import argparse
import importlib
import json
import logging
import os
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from distill_dagster.config import Section
from distill_dagster.errors import ModelError, UserError
from distill_dagster.evaluation.specs import BenchmarkSpec
from distill_dagster.generation.specs import GenerateSpec
from distill_dagster.logits.specs import CaptureSpec
from distill_dagster.process import end_with_parent, library_versions, watch_memory
from distill_dagster.progress import listen, log_listener
from distill_dagster.store.manifest import Produced
from distill_dagster.store.result import Usage
from distill_dagster.training.specs import PrepareSpec, TrainSpec, TrialSpec


@dataclass(frozen=True, slots=True)
class Worker:
    """Where a worker's function is, and what it takes. The function is imported only when it runs."""

    function: str  # module:name, called as function(request, device) -> Produced
    request: type[Section]

    def load(self) -> Callable[[Any, str], Produced]:
        """Import the function; this is where torch comes in."""
        module, name = self.function.split(":")
        return getattr(importlib.import_module(module), name)


WORKERS: dict[str, Worker] = {
    "prepare_model": Worker("distill_dagster.training.prepare:prepare_model", PrepareSpec),
    "generate_shard": Worker("distill_dagster.generation.shard:generate_shard", GenerateSpec),
    "capture_logits": Worker("distill_dagster.logits.shard:capture_logits", CaptureSpec),
    "train_student": Worker("distill_dagster.training.student:train_student", TrainSpec),
    "try_model": Worker("distill_dagster.training.trial:try_model", TrialSpec),
    "run_benchmark": Worker("distill_dagster.evaluation.benchmark:run_benchmark", BenchmarkSpec),
}


def run_worker(name: str, request: Section, device: str = "cpu") -> Produced:
    """Run a worker in this process and add what it used to its facts.

    `usage` holds device, seconds, gpu_seconds, versions and peak_memory_bytes: on a GPU the most that torch held there,
    on a CPU the process's highest resident set while the worker ran.
    """
    worker = WORKERS[name]
    if not isinstance(request, worker.request):
        raise TypeError(f"{name} takes a {worker.request.__name__}, got a {type(request).__name__}")
    if device.startswith("cuda"):
        _reset_device(device)
    function, started = worker.load(), time.perf_counter()
    with watch_memory() as peak:
        produced = function(request, device)
    seconds = time.perf_counter() - started
    usage = {
        "device": device,
        "seconds": round(seconds, 3),
        "gpu_seconds": round(seconds, 3) if device.startswith("cuda") else 0.0,
        "peak_memory_bytes": _device_peak(device) if device.startswith("cuda") else peak.start + peak.growth,
        "versions": library_versions(),
    }
    return produced.with_usage(Usage.model_validate(usage))


def _document(produced: Produced) -> dict[str, Any]:
    counts, facts = produced.parts()
    return {
        "data_version": produced.data_version,
        "counts": counts,
        "facts": facts,
        "complete": produced.complete,
    }


def _device_peak(device: str) -> int:
    import torch

    return torch.cuda.max_memory_allocated(device)


def _reset_device(device: str) -> None:
    import torch

    if not torch.cuda.is_available():
        raise ModelError(
            f"{device} was leased, but this torch ({torch.__version__}) finds no CUDA; "
            "install a CUDA build or set compute.devices: []"
        )
    torch.cuda.reset_peak_memory_stats(device)


def _serve_pipes() -> int:
    """Take the request from Dagster Pipes; results and errors go back as messages, never as pickles."""
    from dagster_pipes import open_dagster_pipes

    end_with_parent()
    with open_dagster_pipes() as pipes:
        name, device = pipes.get_extra("worker"), pipes.get_extra("device")
        request = WORKERS[name].request.model_validate(pipes.get_extra("request"))
        try:
            with listen(log_listener(pipes.log.info)):
                produced = run_worker(name, request, device)
        except UserError as e:
            pipes.report_custom_message({"error": type(e).__name__, "message": str(e)})
            return 0  # a code other than 0 would make the Pipes client drop the message
        pipes.report_custom_message({"produced": _document(produced)})
    return 0


def main(arguments: list[str] | None = None) -> int:
    """Run one worker: under Pipes if a Pipes context is in the environment, else from standard input."""
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
    if "DAGSTER_PIPES_CONTEXT" in os.environ:
        return _serve_pipes()
    parser = argparse.ArgumentParser(prog="python -m distill_dagster.workers", description="Run one worker.")
    parser.add_argument("worker", choices=sorted(WORKERS))
    parser.add_argument("--device", default="cpu", help="cpu, or cuda:0 and so on")
    options = parser.parse_args(arguments)
    try:
        request = WORKERS[options.worker].request.model_validate_json(sys.stdin.read())
        with listen(log_listener(lambda line: print(line, file=sys.stderr))):
            produced = run_worker(options.worker, request, options.device)
    except UserError as e:
        print(f"{type(e).__name__}: {e}", file=sys.stderr)
        return 2
    print(json.dumps(_document(produced)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
