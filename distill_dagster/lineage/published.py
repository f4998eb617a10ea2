"""What is published of a release: the model's folder, with the model card and the notices in it."""

from distill_dagster.lineage.snapshot import Snapshot
from distill_dagster.lineage.student import RELEASED
from distill_dagster.store import files
from distill_dagster.store.manifest import Manifest

PUBLISHED = "published_student"
INSIDE = f"{files.WEIGHTS_FOLDER}/"


def files_of(release: Manifest) -> dict[str, str]:
    """Path in the model's folder -> SHA-256, of the released student; {} if none is released."""
    return {name.removeprefix(INSIDE): digest for name, digest in release.files.items() if name.startswith(INSIDE)}


def released_files(look: Snapshot) -> dict[str, str]:
    """The same of the present release; NotPublishedError if nothing was judged yet."""
    return files_of(look.get(RELEASED))
