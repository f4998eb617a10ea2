"""The set from ten million short rows: rows a second, whether that holds, and whether the memory is bounded.

    set_rows_per_s_1m, set_rows_per_s_10m     teacher rows by wall time
    set_cpu_s_per_100k_rows_1m, …_10m         CPU time, which a busy machine does not change
    set_peak_mb_1m, set_peak_mb_10m           resident memory of the worker at its peak

The rows and what is timed are those of `quality`. Ten million rows take about an hour, and 15 GB in the folder for
temporary files (`TMPDIR`); `SET_ROWS=1m` measures the smaller size alone.
"""

import os

from benchmarks.quality import in_own_process

SIZES = {"1m": 1_000_000, "10m": 10_000_000}


def measure() -> dict[str, float]:
    """The measures of the sizes that SET_ROWS names, by default of both."""
    results: dict[str, float] = {}
    for name in os.environ.get("SET_ROWS", ",".join(SIZES)).split(","):
        rows = SIZES[name]
        found = in_own_process(rows)
        results |= {
            f"set_rows_per_s_{name}": rows / found["seconds"],
            f"set_cpu_s_per_100k_rows_{name}": found["cpu_seconds"] / rows * 100_000,
            f"set_peak_mb_{name}": found["peak_mb"],
        }
    return results
