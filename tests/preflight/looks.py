"""What the preflight finds for a config."""

from distill_dagster.config.reading import load_config
from distill_dagster.lineage.project import Project
from distill_dagster.lineage.snapshot import Snapshot
from distill_dagster.planning.steps import list_steps
from distill_dagster.preflight.look import preflight


def look_at(path, whole=True, until=None, **given):
    look = Snapshot(Project(load_config(path)))
    return preflight(look, list_steps(look), whole=whole, until=until, **given)


def errors(path, **how) -> dict[tuple[str, str], str]:
    return {(found.what, found.of): found.found for found in look_at(path, **how) if found.state == "error"}
