"""The preflight on a terminal: one table, and the end of a command whose run cannot work."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from rich.console import RenderableType

from distill_dagster.cli.console import err, table
from distill_dagster.errors import PreflightError
from distill_dagster.lineage.snapshot import Snapshot
from distill_dagster.planning.steps import list_steps
from distill_dagster.preflight.look import preflight
from distill_dagster.preflight.requirement import Requirement, errors_of

ORDER = {"error": 0, "warning": 1, "not checked": 2, "ok": 3}


def look_at_all(look: Snapshot, until: str | None) -> list[Requirement]:
    """Everything that a run up to `until` needs; each endpoint that it asks gets one request."""
    return preflight(look, list_steps(look), whole=True, until=until)


def preflight_table(requirements: Sequence[Requirement]) -> RenderableType:
    """A row for each requirement, errors first; steps that need the same share a row."""
    shared: dict[tuple[str, str, str], list[str]] = {}
    for found in sorted(requirements, key=lambda requirement: ORDER[requirement.state]):
        shared.setdefault((found.what, found.state, found.found), []).append(found.of)
    rows = [[what, ", ".join(of), state, said] for (what, state, said), of in shared.items()]
    return table("What the run needs", ["", "of", "state", "what was found"], rows)


def preflight_document(requirements: Sequence[Requirement]) -> list[dict[str, Any]]:
    """The same for machines."""
    return [asdict(requirement) for requirement in requirements]


def stop_if_hopeless(requirements: Sequence[Requirement]) -> None:
    """Raise PreflightError if the run cannot work."""
    if errors := errors_of(requirements):
        raise PreflightError.of([f"{found.what} of {found.of}: {found.found}" for found in errors])


def show_and_stop(requirements: Sequence[Requirement]) -> None:
    """Print the preflight of a run if anything in it is not right; PreflightError if the run cannot work."""
    if any(requirement.state != "ok" for requirement in requirements):
        err.print(preflight_table(requirements))
    stop_if_hopeless(requirements)
