"""Distil a large teacher language model into a small student, as plain Python that Dagster orchestrates.

Below `resources/`, no module imports Dagster: the distillation can be read, tested and run without an orchestrator.
`assets/` (what Dagster materializes), `resources/` (what it injects) and `operations/` (what it runs unattended) are
links to folders at the top of the repository. Only `definitions.py`, `component.py` and `cli/` import them.

`DistillationComponent` is loaded when somebody asks for it: a worker imports this package and must not import Dagster.
"""

import os
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from distill_dagster.component import DistillationComponent

# Set before anything loads torch, so that waiting threads release their core soon: see docs/adr/0009.
if "OMP_WAIT_POLICY" not in os.environ:
    os.environ.setdefault("GOMP_SPINCOUNT", "20000")

__version__ = "0.2.0"
__all__ = ["DistillationComponent", "__version__"]


def __getattr__(name: str) -> Any:
    """Import the component at its first use."""
    if name == "DistillationComponent":
        return import_module("distill_dagster.component").DistillationComponent
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    """The names of the module; `dg list components` looks for components among them."""
    return sorted({*globals(), *__all__})
