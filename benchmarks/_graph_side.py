"""One side of a comparison, in a process of its own: a lineage in Dagster's graph, or the same calls of its workers.

    python -m benchmarks._graph_side graph CONFIG CALLS       `distill-dagster run`; writes each worker's spec to CALLS
    python -m benchmarks._graph_side script CALLS FOLDER      calls the workers with these specs, into FOLDER

The script reads what the graph has published, and asks every question again: its replies go to a folder of its own.
"""

import json
import sys
from pathlib import Path
from typing import Any

from distill_dagster.resources.compute import inline
from distill_dagster.workers import WORKERS, run_worker


def graph(config: Path, calls: Path) -> None:
    """Run the project, and record the calls of its workers in their order."""
    from distill_dagster.cli.commands import walk
    from distill_dagster.config.reading import load_config

    with calls.open("w") as file:

        def recorded(name: str, spec: Any, *devices: Any) -> Any:
            file.write(json.dumps([name, spec.model_dump(mode="json")], allow_nan=False) + "\n")
            return run_worker(name, spec, *devices)

        inline.run_worker = recorded
        _, outcome = walk(load_config(config))
    unmade = [title for title, why in outcome.failed.items() if "verdict" not in why]
    assert not unmade, outcome.failed


def script(calls: Path, folder: Path) -> None:
    """Make the same calls, one after the other."""
    for number, line in enumerate(calls.read_text().splitlines()):
        name, fields = json.loads(line)
        own = {name: folder / str(number) / name for name in ("out", "work") if name in fields}
        own |= {name: folder / name for name in ("responses", "tensorboard") if fields.get(name)}
        for path in own.values():
            path.mkdir(parents=True, exist_ok=True)
        spec = WORKERS[name].spec.model_validate({**fields, **{name: str(path) for name, path in own.items()}})
        run_worker(name, spec, "cpu")


if __name__ == "__main__":
    side, *paths = sys.argv[1:]
    {"graph": graph, "script": script}[side](*map(Path, paths))
