"""Latency and memory of one model, measured in a process that does nothing else.

    python -m distill_dagster.evaluation.speed < spec.json > measurement.json

Teacher, student and baseline are each measured in a fresh process (docs/adr/0004). So no model is faster because its
code or weights were warm, and none is charged for memory that the process held before. Requests run one at a time,
in a batch of one, with greedy decoding. The child prints a `Measurement` (shortened):

    speed     {"requests": 32, "latency_ms": {"p50": 41.0, "p95": 66.2, "p99": 70.9}, "first_token_ms": {"p50": 6.1},
               "tokens_per_second": 180.3, …}
    memory    {"weight_bytes": 3670016, "peak_bytes": 31457280, "how": "growth of the peak resident set …"}

On a GPU the peak is the most that PyTorch's allocator held. On a CPU it is the highest resident set while the model
is loaded and used, minus the resident set just before; the modules that the model needs are imported before that.
"""

import contextlib
import os
import subprocess
import sys
import time
from pathlib import Path

from distill_dagster.errors import ComputeError, UserError
from distill_dagster.evaluation.specs import Hardware, Measurement, MemoryUse, SpeedSpec
from distill_dagster.evaluation.timing import summarize, time_requests
from distill_dagster.process import end_with_parent, library_versions, watch_memory

STDERR_LINES = 15


def measure(spec: SpeedSpec) -> Measurement:
    """Measure the model in a fresh child process.

    Raises:
        ComputeError: the child failed; the message ends with the last lines that the child wrote to stderr.
    """
    package_root = str(Path(__file__).parents[2])
    paths = [package_root, *filter(None, [os.environ.get("PYTHONPATH")])]
    child = subprocess.run(
        [sys.executable, "-m", "distill_dagster.evaluation.speed"],
        input=spec.model_dump_json(),
        capture_output=True,
        text=True,
        encoding="utf-8",
        errors="replace",
        env=os.environ | {"PYTHONPATH": os.pathsep.join(paths)},
        check=False,
    )
    if child.returncode != 0:
        how = f"exit status {child.returncode}" if child.returncode > 0 else f"killed by signal {-child.returncode}"
        tail = "\n".join(child.stderr.strip().splitlines()[-STDERR_LINES:])
        raise ComputeError(
            f"measuring {spec.model.name} on {spec.device} failed ({how}; signal 9 usually means that memory ran "
            f"out). The last lines of its output:\n{tail}"
        )
    return Measurement.model_validate_json(child.stdout.splitlines()[-1])


def run(spec: SpeedSpec) -> Measurement:
    """Load the model in this process and measure it.

    Raises:
        ModelError: the model cannot be loaded, or no prompt fits its context.
    """
    import torch

    from distill_dagster.models.loading import load, spread_over

    cuda, devices = spec.device.startswith("cuda"), [spec.device, *spec.more]
    _import_modules_of(Path(spec.model.path))
    if cuda:
        torch.cuda.set_device(spec.device)
        for device in devices:
            torch.cuda.reset_peak_memory_stats(device)
    with watch_memory() as peak, spread_over(devices):
        start = time.perf_counter()
        loaded = load(spec.model, spec.device)
        load_s = time.perf_counter() - start
        timings = time_requests(loaded, spec)
    weights = list(loaded.model.parameters()) + list(loaded.model.buffers())
    return Measurement(
        speed=summarize(timings, spec, load_s=load_s, threads=torch.get_num_threads()),
        memory=MemoryUse(
            weight_bytes=sum(w.numel() * w.element_size() for w in weights),
            peak_bytes=sum(map(torch.cuda.max_memory_allocated, devices)) if cuda else peak.growth,
            how="most bytes that PyTorch held on the device (max_memory_allocated)" if cuda else peak.how,
        ),
        parameters=sum(p.numel() for p in loaded.model.parameters()),
        dtype=loaded.dtype,
        hardware=_hardware(spec.device),
        versions=dict(library_versions()),
    )


def _import_modules_of(folder: Path) -> None:
    """Import the model's code, so that its memory is not charged to the model.

    Opening the tokenizer and building the model on the `meta` device import all of it and allocate no weights.
    """
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    from distill_dagster.models.loading import open_tokenizer

    with contextlib.suppress(OSError, ValueError):  # `load` reports a model that cannot be read
        open_tokenizer(folder)
        config = AutoConfig.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
        with torch.device("meta"):
            AutoModelForCausalLM.from_config(config, trust_remote_code=False)


def _hardware(device: str) -> Hardware:
    import psutil
    import torch

    return Hardware(
        device=device,
        name=torch.cuda.get_device_name(device) if device.startswith("cuda") else _processor(),
        cores=os.cpu_count(),
        memory_gb=round(psutil.virtual_memory().total / 1e9, 1),
        threads=torch.get_num_threads(),
    )


def _processor() -> str:
    import platform

    with contextlib.suppress(OSError):  # not Linux
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def main() -> int:
    """Read a `SpeedSpec` from stdin and print a `Measurement` as one line of JSON; all other output goes to stderr."""
    end_with_parent()  # the parent holds the device's lease
    try:
        with contextlib.redirect_stdout(sys.stderr):
            measurement = run(SpeedSpec.model_validate_json(sys.stdin.read()))
    except UserError as e:
        print(e, file=sys.stderr)
        return 1
    print(measurement.model_dump_json())
    return 0


if __name__ == "__main__":
    sys.exit(main())
