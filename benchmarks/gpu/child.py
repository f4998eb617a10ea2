"""A process that runs parts in order, and appends each one's figures to a file as soon as it has them.

    {"parts": ["1B:try_model", …], "folder": …, "machine": {…}, "small": false, "until": 1789.5}    on standard input
    {"part": "1B:try_model", "seconds": 4.1, "peak_memory_bytes": 2100000000, …}                    a line of the file

An error ends the process, since nobody knows what state it leaves the device in. The parent reads the traceback from
standard error, and starts another process for the parts behind it.
"""

import json
import sys
import time
from pathlib import Path
from typing import Any

from benchmarks.gpu.job import Job
from benchmarks.gpu.parts import PARTS
from benchmarks.gpu.sizes import sizes
from benchmarks.gpu.table import line

RESULTS = "results.jsonl"


def run(parts: list[str], folder: Path, machine: dict[str, Any], small: bool, until: float) -> None:
    """Run `parts` until the clock (`time.time`) says `until`; the rest are left."""
    for part in parts:
        if time.time() >= until:
            return
        model, name = part.split(":")
        job = Job(folder / model, sizes(small)[model], machine["device"], machine["card"] or "")
        job.folder.mkdir(exist_ok=True)
        figures = {"part": part, "status": "ok", **PARTS[name](job)}
        with (folder / RESULTS).open("a", encoding="utf-8") as file:
            file.write(json.dumps(figures) + "\n")
        print(line(figures), flush=True)


if __name__ == "__main__":
    asked = json.load(sys.stdin)
    run(asked["parts"], Path(asked["folder"]), asked["machine"], asked["small"], asked["until"])
