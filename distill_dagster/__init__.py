"""Distil a large teacher language model into a small student, as plain Python that Dagster orchestrates.

Below `resources/`, no module imports Dagster: the distillation can be read, tested and run without an orchestrator.
`assets/` (what Dagster materializes), `resources/` (what it injects) and `operations/` (what it runs unattended) are
folders beside this package. They import it; of this package, only `definitions.py` and `cli/` import them.
"""

import os

# Set before anything loads torch, so that waiting threads release their core soon: see docs/adr/0009.
if "OMP_WAIT_POLICY" not in os.environ:
    os.environ.setdefault("GOMP_SPINCOUNT", "20000")

__version__ = "0.2.0"
