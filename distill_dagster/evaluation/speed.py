"""Latency and memory of one model, measured in a process that does nothing else.

    python -m distill_dagster.evaluation.speed < request.json > measured.json

Teacher, student and baseline are each measured in a fresh process, so that none is faster because its code or its
weights were warm, and none is charged for memory that the process held before. One request at a time, batch of one,
greedy; a request is chat template, tokenizer, `generate` and decoding of the text. Worked example of what is
printed (shortened):

    speed     {"requests": 32, "latency_ms": {"p50": 41.0, "p95": 66.2, "p99": 70.9}, "first_token_ms": {"p50": 6.1},
               "tokens_per_second": 180.3, …}
    memory    {"weight_bytes": 3670016, "peak_bytes": 31457280, "how": "growth of the peak resident set …"}

Decoding speed counts the tokens after a request's first one, over the time after it; prefill is in `first_token_ms`.
On a GPU the peak is what PyTorch's allocator held. On a CPU it is the highest resident set while the model is loaded
and used, less the resident set just before, with the modules that the model needs already imported.
"""

import contextlib
import json
import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from distill_dagster.config import Section
from distill_dagster.errors import ComputeError, ModelError, UserError
from distill_dagster.models.ref import ModelRef
from distill_dagster.process import end_with_parent, library_versions, watch_memory

WARM_UPS = 3
STDERR_LINES = 15


class SpeedSpec(Section):
    """Time these prompts on this model and device."""

    model: ModelRef
    device: str
    prompts: list[list[dict[str, str]]]  # messages of each request
    max_new_tokens: int


def measure(request: SpeedSpec) -> dict[str, Any]:
    """`speed`, `memory`, `hardware`, `versions`, `dtype` and `parameters`, from a fresh child process.

    Raises:
        ComputeError: the child failed; the end of what it wrote to stderr is in the message.
    """
    package_root = str(Path(__file__).parents[2])
    paths = [package_root, *filter(None, [os.environ.get("PYTHONPATH")])]
    child = subprocess.run(
        [sys.executable, "-m", "distill_dagster.evaluation.speed"],
        input=request.model_dump_json(),
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
            f"measuring {request.model.name} on {request.device} failed ({how}; signal 9 mostly means "
            f"too little memory). The end of its output:\n{tail}"
        )
    return json.loads(child.stdout.splitlines()[-1])


@dataclass(slots=True)
class Timer:
    """What `generate` streams to: the time of the first token, and how many there were."""

    tokens: int = 0
    first_s: float = 0.0
    last_s: float = 0.0
    prompt_seen: bool = False

    def put(self, tokens: Any) -> None:
        """Called with the prompt first, then with each token as soon as it is there."""
        if not self.prompt_seen:
            self.prompt_seen = True
            return
        self.tokens, self.last_s = self.tokens + tokens.numel(), time.perf_counter()
        self.first_s = self.first_s or self.last_s

    def end(self) -> None:
        """Called when the answer is complete."""


@dataclass(frozen=True, slots=True)
class Timing:
    """One request."""

    latency_s: float
    first_token_s: float
    decode_s: float  # from the first token to the last
    prompt_tokens: int
    tokens: int


def run(request: SpeedSpec) -> dict[str, Any]:
    """Load the model in this process, time the requests, and say what it took.

    Raises:
        ModelError: it cannot be loaded, or no prompt fits its context.
    """
    import torch

    from distill_dagster.models.loading import load

    cuda = request.device.startswith("cuda")
    _import_modules_of(Path(request.model.path))
    if cuda:
        torch.cuda.set_device(request.device)
        torch.cuda.reset_peak_memory_stats(request.device)
    with watch_memory() as peak:
        start = time.perf_counter()
        loaded = load(request.model, request.device)
        load_s = time.perf_counter() - start
        timings = _time_requests(loaded, request)
    weights = list(loaded.model.parameters()) + list(loaded.model.buffers())
    memory = {
        "weight_bytes": sum(w.numel() * w.element_size() for w in weights),
        "peak_bytes": torch.cuda.max_memory_allocated(request.device) if cuda else peak.growth,
        "how": "most bytes that PyTorch held on the device (max_memory_allocated)" if cuda else peak.how,
    }
    return {
        "speed": _summary(timings, request) | {"load_s": round(load_s, 3), "threads": torch.get_num_threads()},
        "memory": memory,
        "parameters": sum(p.numel() for p in loaded.model.parameters()),
        "dtype": loaded.dtype,
        "hardware": _hardware(request.device),
        "versions": library_versions(),
    }


def _import_modules_of(folder: Path) -> None:
    """Import the model's code, by opening its tokenizer and building it without memory: code is not charged to it."""
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    from distill_dagster.models.loading import open_tokenizer

    with contextlib.suppress(OSError, ValueError):  # a model that cannot be read is named by `load`
        open_tokenizer(folder)
        config = AutoConfig.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
        with torch.device("meta"):
            AutoModelForCausalLM.from_config(config, trust_remote_code=False)


def _time_requests(loaded: Any, request: SpeedSpec) -> list[Timing]:
    """Timings of the prompts that fit the model's context; the first ones are also run before, untimed."""
    from distill_dagster.models.decoding import fits
    from distill_dagster.models.rendering import RenderError, encode, render_prompt

    prompts = []
    for messages in request.prompts:
        with contextlib.suppress(RenderError):  # counted as skipped, as a prompt that is too long
            if fits(
                loaded.model,
                len(encode(loaded.tokenizer, render_prompt(loaded.tokenizer, messages))),
                request.max_new_tokens,
            ):
                prompts.append(messages)
    if not prompts:
        raise ModelError(
            f"none of {len(request.prompts)} prompts and {request.max_new_tokens} new tokens fit the context of "
            f"{request.model.name}; lower evaluation.max_new_tokens, or take a model with a longer context"
        )
    for messages in prompts[:WARM_UPS]:
        _time(loaded, messages, request.max_new_tokens)
    return [_time(loaded, messages, request.max_new_tokens) for messages in prompts]


def _time(loaded: Any, messages: list[dict[str, str]], max_new_tokens: int) -> Timing:
    import torch

    from distill_dagster.models.decoding import Sampling, generation_settings
    from distill_dagster.models.rendering import encode, render_prompt

    tokenizer, timer, start = loaded.tokenizer, Timer(), time.perf_counter()
    ids = torch.tensor([encode(tokenizer, render_prompt(tokenizer, messages))], device=loaded.device)  # (1, T)
    settings = generation_settings(loaded, Sampling(max_new_tokens))
    with torch.inference_mode():
        out = loaded.model.generate(
            input_ids=ids, attention_mask=torch.ones_like(ids), generation_config=settings, streamer=timer
        )
    tokenizer.decode(out[0, ids.shape[1] :].tolist(), skip_special_tokens=True)
    latency = time.perf_counter() - start
    return Timing(latency, timer.first_s - start, timer.last_s - timer.first_s, ids.shape[1], timer.tokens)


def _summary(timings: list[Timing], request: SpeedSpec) -> dict[str, Any]:
    """Percentiles over the requests (linear between two), and decoding speed over all of them together."""
    latencies = [t.latency_s * 1000 for t in timings]
    first = [t.first_token_s * 1000 for t in timings]
    decode_s, decoded = sum(t.decode_s for t in timings), sum(t.tokens - 1 for t in timings)
    return {
        "requests": len(timings),
        "skipped": len(request.prompts) - len(timings),  # did not fit the context, or the chat template refused them
        "warm_ups": min(WARM_UPS, len(timings)),
        "batch_size": 1,
        "concurrency": 1,
        "max_new_tokens": request.max_new_tokens,
        "latency_ms": {f"p{p}": round(float(np.percentile(latencies, p)), 3) for p in (50, 95, 99)},
        "first_token_ms": {"p50": round(float(np.percentile(first, 50)), 3)},
        "tokens_per_second": round(decoded / decode_s, 2) if decoded else None,  # None: every answer was one token
        "prompt_tokens_mean": round(sum(t.prompt_tokens for t in timings) / len(timings), 2),
        "completion_tokens_mean": round(sum(t.tokens for t in timings) / len(timings), 2),
        "latencies_ms": [round(latency, 3) for latency in latencies],
    }


def _hardware(device: str) -> dict[str, Any]:
    import psutil
    import torch

    name = torch.cuda.get_device_name(device) if device.startswith("cuda") else _processor()
    return {
        "device": device,
        "name": name,
        "cores": os.cpu_count(),
        "memory_gb": round(psutil.virtual_memory().total / 1e9, 1),
        "threads": torch.get_num_threads(),
    }


def _processor() -> str:
    import platform

    with contextlib.suppress(OSError):  # not Linux
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def main() -> int:
    """Read a request from stdin, print one line of JSON; whatever else is printed goes to stderr."""
    end_with_parent()  # which holds the device's lease
    try:
        with contextlib.redirect_stdout(sys.stderr):
            measured = run(SpeedSpec.model_validate_json(sys.stdin.read()))
    except UserError as e:
        print(e, file=sys.stderr)
        return 1
    print(json.dumps(measured))
    return 0


if __name__ == "__main__":
    sys.exit(main())
