"""What a stage declares, from which everything else about its asset follows."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from distill_dagster.config import DistillConfig
from distill_dagster.lineage.snapshot import Snapshot

Inputs = dict[str, Any]
Kind = Literal["fit", "generate", "train", "benchmark"]


def _none(_: DistillConfig) -> Sequence[str]:
    return ()


def _no_inputs(_: Snapshot, __: str | None) -> Inputs:
    return {}


def always(_: DistillConfig) -> bool:
    """Every project has the stage, or the check."""
    return True


@dataclass(frozen=True, slots=True)
class Stage:
    """One asset of the lineage. Raise `code_version` when the same inputs would give another result."""

    name: str
    group: str  # source | teacher | dataset | student | evaluation | release
    worker: str  # its key in workers.WORKERS
    shaped_by: Callable[[DistillConfig], Inputs]  # the part of the config that shapes it
    reads: Callable[[DistillConfig], Sequence[str]]  # the artefacts and observed files that it is made from
    also: Callable[[Snapshot, str | None], Inputs] = _no_inputs  # a part of other artefacts that shapes it too
    consults: Callable[[DistillConfig], Sequence[str]] = _none  # the artefacts that `also` looks into
    sharded: bool = False  # it has one artefact for each shard
    code_version: str = "1"
    compute: Kind | None = None  # the entry of the config's `compute` that says what it needs; None: no device
    pool: str | None = None  # the Dagster pool that bounds how many of its runs are admitted
    wanted: Callable[[DistillConfig], bool] = always  # whether a project with this config has the stage
    has_watched_columns: bool = False  # a check compares the columns of its table with those of the version before
    has_deadline: bool = False  # `automation.report_hours` applies to it
