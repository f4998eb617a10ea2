"""Measure every part, print a table, and as the last line the same figures as one JSON document.

    python -m benchmarks.gpu [--small] [--only 1B:train] [--budget 420] [--folder FOLDER]

The document is also written to $OUT/gpu.json where OUT is set. The exit status is 1 where a part failed, and 2 where
there is no GPU and `--small` was not given.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.gpu.cards import machine
from benchmarks.gpu.child import RESULTS
from benchmarks.gpu.parts import PARTS
from benchmarks.gpu.sizes import sizes
from benchmarks.gpu.table import HEAD, line

BUDGET_S = 420  # no part starts later
GRACE_S = 45  # and none runs on for longer than this
REASON_LINES = 12
SHARED_MEMORY, ROOM = Path("/dev/shm"), 40 * 2**30  # a training of 1B writes 20 GB; a disk would be what is measured

Figures = dict[str, Any]


class Run:
    """Children one after the other, until every part has figures, a reason for failing, or no time."""

    def __init__(self, folder: Path, found: dict[str, Any], small: bool, budget: float, only: str) -> None:
        self.folder, self.found, self.small, self.budget = folder, found, small, budget
        self.started = time.time()
        self.results: list[Figures] = []
        every = [f"{model}:{part}" for model in sizes(small) for part in PARTS]
        chosen = [part for part in every if any(part.startswith(one) for one in only.split(","))]
        models = {part.partition(":")[0] for part in chosen}
        self.waiting = [part for part in every if part in chosen or part in {f"{m}:prepare_model" for m in models}]

    def measure(self) -> list[Figures]:
        """All parts' figures, in order."""
        while self.waiting:
            problem = None if self._is_late() else self._child()
            self._take_results()
            if problem and self.waiting:
                self._fail(problem)
            else:
                self._skip(self.waiting, f"the time budget of {self.budget:g} s is spent")
        return self.results

    def _is_late(self) -> bool:
        return time.time() >= self.started + self.budget

    def _child(self) -> list[str] | None:
        """Run the waiting parts in a child; the end of its standard error where it failed."""
        until = self.started + self.budget
        asked = {"parts": self.waiting, "folder": str(self.folder), "machine": self.found, "small": self.small}
        errors = self.folder / "stderr.txt"
        with errors.open("w", encoding="utf-8") as stderr:
            try:
                child = subprocess.run(
                    [sys.executable, "-m", "benchmarks.gpu.child"],
                    input=json.dumps(asked | {"until": until}),
                    stderr=stderr,
                    text=True,
                    timeout=until + GRACE_S - time.time(),
                    check=False,
                )
            except subprocess.TimeoutExpired:
                return [f"stopped {GRACE_S} s after the time budget of {self.budget:g} s"]
        if child.returncode == 0:
            return None
        tail = errors.read_text(encoding="utf-8", errors="replace").strip().splitlines()[-REASON_LINES:]
        return tail if child.returncode > 0 else [*tail, f"killed by signal {-child.returncode}"]

    def _take_results(self) -> None:
        """What children have measured so far, in place of the parts that waited for it."""
        path = self.folder / RESULTS
        written = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
        path.unlink(missing_ok=True)
        measured = [json.loads(text) for text in written]
        self.results += measured
        done = {figures["part"] for figures in measured}
        self.waiting = [part for part in self.waiting if part not in done]

    def _fail(self, reason: list[str]) -> None:
        """The child's part failed; without `prepare_model` a model's other parts have nothing to run on."""
        part, *self.waiting = self.waiting
        self._record(part, "failed", reason)
        model, name = part.split(":")
        if name == "prepare_model":
            self._skip([other for other in self.waiting if other.startswith(f"{model}:")], f"{part} failed")

    def _skip(self, parts: list[str], reason: str) -> None:
        for part in parts:
            self._record(part, "skipped", [reason])
        self.waiting = [part for part in self.waiting if part not in parts]

    def _record(self, part: str, status: str, reason: list[str]) -> None:
        self.results.append({"part": part, "status": status, "reason": reason})
        print(line(self.results[-1]), flush=True)


def scratch_parent() -> str | None:
    """Shared memory where it has the room, else the usual folder for temporary files."""
    roomy = SHARED_MEMORY.is_dir() and shutil.disk_usage(SHARED_MEMORY).free >= ROOM
    return str(SHARED_MEMORY) if roomy else None


def main(arguments: list[str] | None = None) -> int:
    """Measure, and say it to people and to programs."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gpu", description="Measure the workers on one GPU.")
    parser.add_argument("--small", action="store_true", help="tiny models; also runs on a CPU")
    parser.add_argument("--only", default="", help="parts that begin so, with commas between them; default: all")
    parser.add_argument("--budget", type=float, default=BUDGET_S, help="seconds after which no part starts")
    parser.add_argument("--folder", help="where to make the folder for models and checkpoints")
    options = parser.parse_args(arguments)
    found = machine()
    if found["device"] == "cpu" and not options.small:
        print(f"this torch ({found['torch']}) finds no CUDA device: give --small for tiny models", file=sys.stderr)
        return 2
    print(f"{found['card'] or 'CPU'}, torch {found['torch']}, transformers {found['transformers']}\n{HEAD}", flush=True)
    with tempfile.TemporaryDirectory(prefix="gpu-", dir=options.folder or scratch_parent()) as folder:
        run = Run(Path(folder), found, options.small, options.budget, options.only)
        parts = run.measure()
    document = {
        **found,
        "small": options.small,
        "budget_s": options.budget,
        "seconds": round(time.time() - run.started, 1),
        "folder": str(Path(folder).parent),
        "parts": parts,
    }
    text = json.dumps(document)
    if out := os.environ.get("OUT"):
        Path(out).mkdir(parents=True, exist_ok=True)
        (Path(out) / "gpu.json").write_text(text + "\n", encoding="utf-8")
    print(text)
    return int(any(figures["status"] == "failed" for figures in parts))


if __name__ == "__main__":
    sys.exit(main())
