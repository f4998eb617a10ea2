"""What the work in progress belongs to: project, run, stage and shard. Spans, metrics and log lines carry it.

A worker in another process gets it in the variable DISTILL_WHERE, as JSON:

    {"project": "support", "run_id": "5f2c…", "stage": "teacher_outputs", "shard": "train-part-03"}
"""

import contextlib
import json
import os
from collections.abc import Iterator
from contextvars import ContextVar
from dataclasses import asdict, dataclass

VARIABLE = "DISTILL_WHERE"


@dataclass(frozen=True, slots=True)
class Whereabouts:
    """The place of a piece of work. What is not known, or does not apply, is None."""

    project: str | None = None
    run_id: str | None = None  # Dagster's
    stage: str | None = None
    shard: str | None = None

    def known(self) -> dict[str, str]:
        """The fields that have a value."""
        return {name: value for name, value in asdict(self).items() if value is not None}

    def attributes(self) -> dict[str, str]:
        """The same as attributes of a span."""
        return {f"distill.{name}": value for name, value in self.known().items()}


_where: ContextVar[Whereabouts | None] = ContextVar("where", default=None)


def here() -> Whereabouts:
    """Where this code works: in the innermost `inside`, or as the environment says."""
    return _where.get() or _handed(os.environ.get(VARIABLE, ""))


@contextlib.contextmanager
def inside(where: Whereabouts) -> Iterator[None]:
    """The work of the block belongs there."""
    token = _where.set(where)
    try:
        yield
    finally:
        _where.reset(token)


def handed_where() -> dict[str, str]:
    """The variable for a worker's process; {} if nothing is known."""
    known = here().known()
    return {VARIABLE: json.dumps(known, ensure_ascii=True, allow_nan=False)} if known else {}


def _handed(text: str) -> Whereabouts:
    """What a parent said; a text that this version does not understand says nothing."""
    try:
        said = json.loads(text) if text else {}
    except ValueError:
        return Whereabouts()
    names = ("project", "run_id", "stage", "shard")
    known = said if isinstance(said, dict) else {}
    return Whereabouts(**{name: value for name in names if isinstance(value := known.get(name), str)})
