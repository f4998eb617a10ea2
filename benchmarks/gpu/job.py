"""One model's parts: where its files are, how much work it gets, and on which card."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.gpu.sizes import Size
from distill_dagster.models.ref import ModelRef, read_ref

Figures = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Job:
    """One model's parts."""

    folder: Path
    size: Size
    device: str
    card: str

    @property
    def ref(self) -> ModelRef:
        """The model that `prepare_model` has made."""
        return read_ref(self.folder / "base")

    def out(self, part: str) -> str:
        """A new folder for what a part writes."""
        path = self.folder / part
        path.mkdir(parents=True, exist_ok=True)
        return str(path)
