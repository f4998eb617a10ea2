"""What a release is made from besides what its stage reads: the release before, and how its scores were measured."""

from distill_dagster.errors import DataError
from distill_dagster.lineage.snapshot import Snapshot
from distill_dagster.lineage.student import RELEASED
from distill_dagster.release.register import REGISTER, read_register
from distill_dagster.report.specs import ReleasedScores
from distill_dagster.store import files
from distill_dagster.store.artefacts import Store
from distill_dagster.store.hashing import canonical_json, sha256
from distill_dagster.store.manifest import Manifest

OF_ONE_STUDENT = ("stage", "student_checkpoint")  # inputs of a benchmark that say nothing of how it measured


def earlier_release(store: Store) -> Manifest | None:
    """The published release; None if there is none yet.

    Raises:
        DataError: there is one, and one of its files is gone: its decisions are not to be lost in silence.
    """
    if store.has_lost_files(RELEASED):
        folder = store.uri(RELEASED)
        raise DataError(
            f"a file of the release in {folder} is gone, so the decisions so far would be lost: restore {folder} from "
            "a backup, or delete it to begin with a first release again"
        )
    return store.find(RELEASED)


def released_scores(look: Snapshot, benchmark: Manifest) -> ReleasedScores | None:
    """The released student, for a report to compare with; None if none is released, or the project releases none.

    `benchmark` is that of the report's student. Where the scores of the release were measured in another way, they are
    not to be compared with it.

    Raises:
        DataError: a file of the release is gone.
    """
    release = earlier_release(look.project.store) if look.config.release else None
    register = read_register(release.folder_with(*REGISTER) if release else None)
    champion = register.state.champion
    released = register.last_of(champion, "promoted", "approved") if champion else None
    if release is None or released is None:
        return None
    return ReleasedScores(
        student=released.student,
        released_at=released.at,
        scores=str(release.file(files.SCORES_FILE)),
        comparable=register.state.measured == measured_as(benchmark),
    )


def measured_as(benchmark: Manifest) -> str:
    """Equal for two benchmarks if their scores can be compared: the same held-out rows, asked and scored in one way."""
    return sha256(canonical_json({key: value for key, value in benchmark.inputs.items() if key not in OF_ONE_STUDENT}))
