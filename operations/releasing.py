"""A person's decision about a release: the store publishes it in one step, and Dagster learns of the new version.

The asset stays as fresh as it was, so no run judges anything because of it. What reads `released_student` is made
again, as after a promotion by a run.
"""

from collections.abc import Callable
from pathlib import Path

import dagster as dg

from distill_dagster.assets.naming import Names
from distill_dagster.assets.views.numbers import rounded_metadata
from distill_dagster.assets.views.release import release_view
from distill_dagster.lineage.project import Project
from distill_dagster.lineage.releases import earlier_release
from distill_dagster.lineage.student import RELEASED, link_student
from distill_dagster.operations.returning import VERSION_TAG
from distill_dagster.release.specs import ReleaseResult


def change_release(
    project: Project, instance: dg.DagsterInstance, change: Callable[[Path, Path], ReleaseResult]
) -> ReleaseResult:
    """Publish what `change(release, out)` writes into the folder `out`, and report it to Dagster.

    Raises:
        NotPublishedError: nothing was judged for a release yet.
        DataError: the change is not possible.
    """
    store = project.store
    earlier_release(store)
    manifest = store.revise(RELEASED, None, lambda current, out: change(current.folder, out))
    link_student(store, manifest)
    instance.report_runless_asset_event(
        dg.AssetMaterialization(
            Names.of(project.config).key(RELEASED),
            tags={VERSION_TAG: manifest.data_version},
            metadata={**rounded_metadata(release_view(manifest)), "dagster/uri": manifest.uri},
        )
    )
    return manifest.read(ReleaseResult)
