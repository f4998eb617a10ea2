"""How long the code location takes to load, against the bare import of Dagster, which is its floor."""

import statistics
import subprocess
import sys
import time

ROUNDS = 5
BARE = "import dagster"
LOCATION = "import distill_dagster.definitions as d; d.defs()"


def seconds_of(code: str) -> float:
    """Wall time of a fresh interpreter that runs `code`."""
    started = time.perf_counter()
    subprocess.run([sys.executable, "-W", "ignore", "-c", code], check=True)
    return time.perf_counter() - started


def measure() -> dict[str, float]:
    """Seconds to load the location, and the ratio to `import dagster`; medians of alternating rounds."""
    seconds_of(LOCATION)  # fill the page cache
    pairs = [(seconds_of(BARE), seconds_of(LOCATION)) for _ in range(ROUNDS)]
    bare, location = (statistics.median(column) for column in zip(*pairs, strict=True))
    return {"location_load_s": location, "location_load_vs_import_dagster": location / bare}
