"""The process that holds one model while the rounds run.

    python -m distill_dagster.evaluation.speed.child

`TimedModel.process` names this module, or another one that calls `main` with other engines. It reads one JSON document
a line from stdin, and answers each with one on stdout; all other output goes to stderr:

    Order                                    Ready: what the model is, and which prompts it can answer
    {"prompts": [0, 3], "concurrency": 1}    Turn
    end of the input                         MemoryUse

On a GPU the peak is the most that PyTorch's allocator held. On a CPU it is the highest resident set while the model is
loaded and used, minus the floor: the resident set just before, with every library that the model needs imported.
"""

import contextlib
import os
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict
from importlib.metadata import version
from typing import Any

from pydantic import BaseModel

from distill_dagster.config import Section
from distill_dagster.errors import UserError
from distill_dagster.evaluation.speed.engines import OWN, Engine, EngineKind, Engines, Messages, Order, TimedAnswer
from distill_dagster.evaluation.speed.load import Clock
from distill_dagster.evaluation.speed.rounds import waves
from distill_dagster.evaluation.speed.specs import MemoryUse, Turn
from distill_dagster.process import Peak, end_with_parent, library_versions, watch_memory

Say = Callable[[BaseModel], None]


class Ready(BaseModel, frozen=True):
    """The model is open."""

    usable: list[int]  # positions of the prompts that it can answer
    parameters: int | None
    dtype: str
    threads: int | None
    weight_bytes: int | None
    kv_bytes_per_token: int | None
    load_s: float
    versions: dict[str, str | None]


class Ask(Section):
    """Whose turn it is: yours."""

    prompts: list[int]
    concurrency: int


def serve(order: Order, kind: EngineKind, lines: Iterable[str], say: Say) -> None:
    """Open the model, answer the asks, and report the memory when there are no more.

    Raises:
        ModelError: the model cannot be loaded.
        ComputeError: its runtime is not installed, or fails.
    """
    from distill_dagster.models.loading import spread_over

    devices = [order.device, *order.more]
    kind.imports(order.timed)
    _reset_devices(devices)
    with watch_memory() as peak, spread_over(devices):
        start = time.perf_counter()
        engine = kind.open(order)
        load_s = time.perf_counter() - start
        usable = [i for i, messages in enumerate(order.prompts) if engine.fits(messages)]
        versions: dict[str, str | None] = {**library_versions(), kind.package: version(kind.package)}
        say(Ready(usable=usable, load_s=round(load_s, 3), versions=versions, **asdict(engine.facts)))
        for line in lines:
            ask = Ask.model_validate_json(line)
            asked = [[order.prompts[i] for i in wave] for wave in waves(ask.prompts, ask.concurrency)]
            say(take_turn(engine, order.timed.name, asked, ask.concurrency))
    say(_memory(engine, peak, devices))


def take_turn(engine: Engine, name: str, asked: Sequence[Sequence[Messages]], concurrency: int) -> Turn:
    """Answer the prompts group by group, on the clocks of this process."""
    answered: list[TimedAnswer] = []
    start = Clock.now()
    for group in asked:
        answered += engine.answer(group)
    took = Clock.now().since(start)
    return Turn(
        model=name,
        concurrency=concurrency,
        wall_s=took.wall_s,
        cpu_s=took.cpu_s,
        waited_s=took.waited_s,
        others_s=took.others_s,
        latencies_ms=[round(a.latency_s * 1000, 3) for a in answered],
        first_token_ms=[round(a.first_token_s * 1000, 3) for a in answered if a.first_token_s is not None],
        prompt_tokens=sum(a.prompt_tokens for a in answered),
        tokens=sum(a.tokens for a in answered),
    )


def _reset_devices(devices: Sequence[str]) -> None:
    if not devices[0].startswith("cuda"):
        return
    import torch

    torch.backends.cuda.enable_cudnn_sdp(False)  # as `workers.run_worker` does
    torch.cuda.set_device(devices[0])
    for device in devices:
        torch.cuda.reset_peak_memory_stats(device)


def _memory(engine: Engine, peak: Peak, devices: Sequence[str]) -> MemoryUse:
    known: dict[str, Any] = {
        "weight_bytes": engine.facts.weight_bytes,
        "kv_bytes_per_token": engine.facts.kv_bytes_per_token,
    }
    if not devices[0].startswith("cuda"):
        return MemoryUse(**known, peak_bytes=peak.growth, floor_bytes=peak.start, how=peak.how)
    import torch

    return MemoryUse(
        **known,
        peak_bytes=sum(map(torch.cuda.max_memory_allocated, devices)),
        floor_bytes=None,
        how="most bytes that PyTorch held on the device (max_memory_allocated); CUDA's own are not counted",
    )


def main(engines: Engines = OWN) -> int:
    """Serve on stdin and stdout until the input ends, with the engine that the order names."""
    end_with_parent()  # the parent holds the device's lease
    out = os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8")

    def say(document: BaseModel) -> None:
        print(document.model_dump_json(), file=out, flush=True)

    try:
        with contextlib.redirect_stdout(sys.stderr):
            lines = iter(sys.stdin.readline, "")
            order = Order.model_validate_json(next(lines))
            serve(order, engines[order.timed.engine], lines, say)
    except UserError as e:
        print(e, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
