"""Looks at all that a project can do without: in its store, among its replies, and in Dagster's history."""

import contextlib
import os
from collections.abc import Iterator

from distill_dagster.assets.naming import Names
from distill_dagster.clearing.lineages import kept_releases
from distill_dagster.clearing.replies import look_at_replies
from distill_dagster.clearing.specs import Part, Rules
from distill_dagster.clearing.versions import VersionsToClear
from distill_dagster.config import DistillConfig
from distill_dagster.lineage.project import Project
from distill_dagster.lineage.snapshot import Snapshot
from distill_dagster.operations.dagster_internals import AssetGraph
from distill_dagster.operations.history import HistoryToClear
from distill_dagster.operations.instance import HOME, INSTANCE_CONFIG, open_instance


@contextlib.contextmanager
def look_at_all(config: DistillConfig, graph: AssetGraph, rules: Rules) -> Iterator[list[Part]]:
    """What goes and what stays; the block may delete it. `graph` has the project's checks.

    Raises:
        DataError: the store cannot be read, or a file of the release is gone.
    """
    project = Project(config)
    versions = VersionsToClear.look(project.store, config, rules)
    parts = [versions.part(), look_at_replies(Snapshot(project), versions.answers(), rules)]
    if not (os.environ.get(HOME) or (config.local_root / ".dagster" / INSTANCE_CONFIG.name).exists()):
        yield parts  # nothing was ever run
        return
    with open_instance(config) as instance:
        history = HistoryToClear(instance, Names.of(config), graph, rules)
        yield [*parts, history.look(kept_releases(project.store)[1])]
