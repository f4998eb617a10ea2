"""Distil a large teacher language model into a small student, as plain Python that Dagster orchestrates.

Nothing in this package but `definitions.py` and `cli.py` imports Dagster: the science can be read, tested and
run without an orchestrator. `assets/` (what Dagster materializes) and `resources/` (what it injects) stand
beside this package and import it, never the other way round.
"""

import os

# Set before anything loads torch: threads that wait for each other give their core away soon, see docs/adr/0009.
if "OMP_WAIT_POLICY" not in os.environ:
    os.environ.setdefault("GOMP_SPINCOUNT", "20000")

__version__ = "0.1.0"
