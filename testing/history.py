"""A process that dies while it clears Dagster's history of a project."""

from pathlib import Path

from distill_dagster.assets.naming import Names
from distill_dagster.config.reading import load_config
from distill_dagster.definitions import build_lineage
from distill_dagster.operations.history import HistoryToClear
from testing.clearing import LATER
from testing.killed_at import arm
from testing.projects import own_instance


def clear_history_and_die(path: Path, target: str, number: int) -> None:
    """Clear it in a process of its own, which is killed at a call of one function."""
    config = load_config(path)
    graph = build_lineage(config).resolve_asset_graph()
    with own_instance(config) as instance:
        part = HistoryToClear(instance, Names.of(config), graph, LATER).look(set())
        arm(target, number)
        part.delete()
