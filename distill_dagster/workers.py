"""The workers: the functions that make artefacts, each from a typed spec to a typed result, in this process or another.

    python -m distill_dagster.workers generate_shard --device cuda:0 < spec.json

prints the result as JSON. Launched by Dagster Pipes (the `subprocess` backend), the same module takes its spec from the
Pipes context and reports result, progress and user errors as Pipes messages. The only package of Dagster that a
worker's machine needs is `dagster-pipes`.

    python -m distill_dagster.workers --serve 5

does so for one order after another, and keeps the models that it used last. Each line of standard input is the JSON of
an order's environment; a line on file descriptor 5 says that the order has ended. The process ends with standard input.

A training can run in several such processes (ranks/launcher.py). All read the Pipes context, and rank 0 alone reports.
"""

import argparse
import importlib
import json
import logging
import os
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from distill_dagster import telemetry
from distill_dagster.errors import ModelError, UserError
from distill_dagster.evaluation.judging.specs import JudgeResult, JudgeSpec
from distill_dagster.evaluation.specs import BenchmarkResult, BenchmarkSpec
from distill_dagster.evaluation.speed.specs import SpeedResult, SpeedSpec
from distill_dagster.generation.specs import GenerateResult, GenerateSpec
from distill_dagster.logits.specs import CaptureResult, CaptureSpec
from distill_dagster.models.loading import spread_over
from distill_dagster.process import close_to_others, end_with_parent, library_versions, watch_memory
from distill_dagster.progress import Point, listen, listen_to_points, log_listener
from distill_dagster.quality.specs import GoldSetResult, GoldSetSpec, SetResult, SetSpec
from distill_dagster.ranks import group
from distill_dagster.ranks.failure import leave
from distill_dagster.release.export.specs import ExportResult, ExportSpec
from distill_dagster.release.publish.specs import PublishResult, PublishSpec
from distill_dagster.release.specs import ReleaseResult, ReleaseSpec
from distill_dagster.report.specs import ReportResult, ReportSpec
from distill_dagster.rollouts.specs import CaptureRolloutsSpec, SampleResult, SampleSpec
from distill_dagster.sources.specs import ReadResult, ReadSpec
from distill_dagster.store.disk import room_for
from distill_dagster.store.result import Result, Spec, Usage
from distill_dagster.telemetry.logs import log_as_json
from distill_dagster.training.specs import (
    PrepareResult,
    PrepareSpec,
    TrainResult,
    TrainSpec,
    TryResult,
    TrySpec,
)
from distill_dagster.tuning.specs import TrialResult, TrialSpec


@dataclass(frozen=True, slots=True)
class Worker:
    """Where a worker's function is, what it takes and what it returns. It is imported only when it runs."""

    function: str  # module:name, called as function(spec, device) -> result
    spec: type[Spec]
    result: type[Result]

    def load(self) -> Callable[[Any, str], Result]:
        """Import the function; this is where torch comes in."""
        module, name = self.function.split(":")
        return getattr(importlib.import_module(module), name)


WORKERS: dict[str, Worker] = {
    "read_rows": Worker("distill_dagster.sources.judging.raw_tables:read_rows", ReadSpec, ReadResult),
    "prepare_model": Worker("distill_dagster.training.prepare:prepare_model", PrepareSpec, PrepareResult),
    "generate_shard": Worker("distill_dagster.generation.shard:generate_shard", GenerateSpec, GenerateResult),
    "capture_logits": Worker("distill_dagster.logits.shard:capture_logits", CaptureSpec, CaptureResult),
    "sample_rollouts": Worker("distill_dagster.rollouts.sampling:sample_rollouts", SampleSpec, SampleResult),
    "capture_rollouts": Worker("distill_dagster.rollouts.capture:capture_rollouts", CaptureRolloutsSpec, CaptureResult),
    "build_set": Worker("distill_dagster.quality.synthetic_set:build_set", SetSpec, SetResult),
    "build_gold_set": Worker("distill_dagster.quality.gold_set:build_gold_set", GoldSetSpec, GoldSetResult),
    "train_student": Worker("distill_dagster.training.student:train_student", TrainSpec, TrainResult),
    "train_trial": Worker("distill_dagster.tuning.trial:train_trial", TrialSpec, TrialResult),
    "try_model": Worker("distill_dagster.training.trying:try_model", TrySpec, TryResult),
    "run_benchmark": Worker("distill_dagster.evaluation.benchmark:run_benchmark", BenchmarkSpec, BenchmarkResult),
    "judge_answers": Worker("distill_dagster.evaluation.judging.worker:judge_answers", JudgeSpec, JudgeResult),
    "time_models": Worker("distill_dagster.evaluation.speed.benchmark:time_models", SpeedSpec, SpeedResult),
    "export_student": Worker("distill_dagster.release.export.exporting:export_student", ExportSpec, ExportResult),
    "write_report": Worker("distill_dagster.report.writing:write_report", ReportSpec, ReportResult),
    "release_student": Worker("distill_dagster.release.releasing:release_student", ReleaseSpec, ReleaseResult),
    "publish_student": Worker("distill_dagster.release.publish.publishing:publish_student", PublishSpec, PublishResult),
}


def run_worker(name: str, spec: Spec, device: str = "cpu", more: Sequence[str] = ()) -> Result:
    """Run a worker in this process and add what it used to its result.

    A local model that answers or reads is spread over `device` and `more`.
    """
    worker = WORKERS[name]
    if not isinstance(spec, worker.spec):
        raise TypeError(f"{name} takes a {worker.spec.__name__}, got a {type(spec).__name__}")
    is_gpu, devices = device.startswith("cuda"), [device, *more]
    if is_gpu:
        _reset_devices(devices)
    function, started = worker.load(), time.perf_counter()
    seen: dict[str, str | int] = {"distill.device": device, "distill.rank": group.number(), "process.pid": os.getpid()}
    with telemetry.span(name, seen), watch_memory() as peak, spread_over(devices):
        result = function(spec, device)
    seconds = round(time.perf_counter() - started, 3)
    usage = Usage(
        device=device,
        seconds=seconds,
        gpu_seconds=seconds * group.count() * len(devices) if is_gpu else 0.0,
        peak_memory_bytes=_peak_of(devices) if is_gpu else peak.start + peak.growth,
        versions=library_versions(),
    )
    return result.with_usage(usage)


def _peak_of(devices: Sequence[str]) -> int:
    import torch

    return sum(map(torch.cuda.max_memory_allocated, devices))


def _reset_devices(devices: Sequence[str]) -> None:
    import torch

    if not torch.cuda.is_available():
        raise ModelError(
            f"{devices[0]} was leased, but this torch ({torch.__version__}) finds no CUDA; "
            "install a CUDA build or set compute.devices: []"
        )
    # cuDNN's attention builds a plan for each new shape, and every step of decoding has one: 51 ms a token instead of
    # 8, measured on an H100 with torch 2.11.
    torch.backends.cuda.enable_cudnn_sdp(False)
    torch.cuda.init()  # before it, the allocator knows no device, and the next line raises
    for device in devices:
        torch.cuda.reset_peak_memory_stats(device)


def _room_for(spec: Spec) -> AbstractContextManager[None]:
    """Explain a full disk; in the asset's process, the store does."""
    return room_for(Path(getattr(spec, "out", ".")).absolute().parent)


def _serve_pipes() -> int:
    """Take the spec from Dagster Pipes; results and errors go back as messages, never as pickles."""
    from dagster_pipes import (
        PipesContext,
        PipesDefaultContextLoader,
        PipesDefaultMessageWriter,
        PipesEnvVarParamsLoader,
    )

    end_with_parent()
    own = PipesEnvVarParamsLoader(), PipesDefaultContextLoader(), PipesDefaultMessageWriter()
    with PipesContext(*own) as pipes:  # `open_dagster_pipes` gives a process the same, closed one for its next order

        def report(point: Point) -> None:
            pipes.report_custom_message({"point": dict(point)})

        try:
            with listen(log_listener(pipes.log.info)), listen_to_points(report):
                result = _run_given(pipes.extras)
        except UserError as e:
            if group.count() > 1:
                return _failed(e)
            pipes.report_custom_message({"error": type(e).__name__, "message": str(e)})
            return 0  # a code other than 0 would make the Pipes client drop the message
        pipes.report_custom_message({"result": result.model_dump(mode="json")})
    return 0


def _serve_orders(done: int) -> int:
    """Run workers under Pipes, in the environment of each line, until there is no more.

    An error that is no user's ends the process, as it ends that of a single order.
    """
    end_with_parent()
    with os.fdopen(done, "w", encoding="utf-8") as answers:
        for line in sys.stdin:
            environment = json.loads(line)
            os.environ.update(environment)
            log_as_json()
            _serve_pipes()
            telemetry.flush()
            for name in environment:
                os.environ.pop(name, None)
            print("done", file=answers, flush=True)
    return 0


def _serve_other_rank() -> int:
    """Share the work of rank 0, and report nothing but an error."""
    from dagster_pipes import PipesDefaultContextLoader, PipesEnvVarParamsLoader

    end_with_parent()
    try:
        with PipesDefaultContextLoader().load_context(PipesEnvVarParamsLoader().load_context_params()) as context:
            _run_given(context["extras"] or {})
    except group.RankEnded:
        return 0
    except UserError as e:
        return _failed(e)
    raise AssertionError("the worker returned on a rank that should have left after its training")


def _failed(error: UserError) -> int:
    """Leave the error to the launcher, which reports it and ends the other ranks."""
    leave(error)
    return group.REPORTED


def _run_given(extras: Mapping[str, Any]) -> Result:
    """Run the worker that the extras of a Pipes context describe."""
    name, device = extras["worker"], extras["device"]
    spec = WORKERS[name].spec.model_validate(extras["spec"])
    with _room_for(spec):
        return run_worker(name, spec, group.join(device) if group.count() > 1 else device, extras["more"])


def main(arguments: list[str] | None = None) -> int:
    """Run one worker: under Pipes if a Pipes context is in the environment, else from standard input."""
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
    log_as_json()
    close_to_others()
    if "DAGSTER_PIPES_CONTEXT" in os.environ:
        return _serve_pipes() if group.is_first() else _serve_other_rank()
    parser = argparse.ArgumentParser(prog="python -m distill_dagster.workers", description="Run one worker.")
    parser.add_argument("--serve", type=int, help="take orders from standard input, and answer at this descriptor")
    parser.add_argument("worker", nargs="?", choices=sorted(WORKERS))
    parser.add_argument("--device", default="cpu", help="cpu, or cuda:0 and so on")
    options = parser.parse_args(arguments)
    if options.serve is not None:
        return _serve_orders(options.serve)
    if options.worker is None:
        parser.error("name a worker")
    try:
        spec = WORKERS[options.worker].spec.model_validate_json(sys.stdin.read())
        with listen(log_listener(lambda line: print(line, file=sys.stderr))), _room_for(spec):
            result = run_worker(options.worker, spec, options.device)
    except UserError as e:
        print(f"{type(e).__name__}: {e}", file=sys.stderr)
        return 2
    print(result.model_dump_json())
    return 0


if __name__ == "__main__":
    sys.exit(main())
