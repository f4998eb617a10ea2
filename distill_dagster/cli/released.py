"""What the commands read of a release."""

from functools import cached_property

from distill_dagster.errors import DataError
from distill_dagster.lineage.project import Project
from distill_dagster.lineage.published import PUBLISHED
from distill_dagster.lineage.releases import earlier_release, measured_as
from distill_dagster.lineage.student import RELEASED, STAGE
from distill_dagster.release.comparing import match
from distill_dagster.release.gate import short
from distill_dagster.release.publish.specs import PublishResult
from distill_dagster.release.register import REGISTER, Register, read_decisions, read_register
from distill_dagster.release.scores import OF_PREDICTIONS, Row, items_of
from distill_dagster.release.specs import ReleaseDecision, ReleaseResult
from distill_dagster.store import files, parquet
from distill_dagster.store.manifest import Manifest


def read_history(project: Project) -> tuple[list[ReleaseDecision], ReleaseResult]:
    """Every decision, and what is released; NotPublishedError if nothing was judged yet."""
    manifest = _release(project)
    text = manifest.file(files.DECISIONS_FILE).read_text(encoding="utf-8")
    return read_decisions(text), manifest.read(ReleaseResult)


def read_published(project: Project) -> PublishResult | None:
    """Where a student is published outside the store; None if none ever was."""
    manifest = project.store.find(PUBLISHED)
    return manifest.read(PublishResult) if manifest else None


class KnownStudents:
    """The student of the benchmark and those of the history; the register is read once, and only if it is needed.

    Raises:
        NotPublishedError: there is no benchmark.
    """

    def __init__(self, project: Project) -> None:
        self._project, self._benchmark = project, project.store.get("student_benchmark")

    @cached_property
    def _register(self) -> Register:
        return read_register(_release(self._project).folder_with(*REGISTER))

    def named(self, name: str) -> str:
        """The data version of `student`, `released`, or a student of the history.

        Raises:
            NotPublishedError: there is no release.
            DataError: the name is none.
        """
        present = self._benchmark.inputs[STAGE]
        if name == "student":
            return present
        if name == "released":
            if self._register.state.champion is None:
                raise DataError("no student is released yet: `distill-dagster releases` says why")
            return self._register.state.champion
        return match(name, [present, *(decision.student for decision in self._register.decisions)])

    def items_of(self, student: str) -> list[Row]:
        """The scored items of a student, by its data version, on the held-out rows of the benchmark.

        Raises:
            DataError: it has no score on these rows.
        """
        if student == self._benchmark.inputs[STAGE]:
            return items_of(parquet.read_table(self._benchmark.file(files.PREDICTIONS_FILE), OF_PREDICTIONS))
        if self._register.state.measured != measured_as(self._benchmark) or student not in self._register.scored:
            raise DataError(
                f"{short(student)} has no score on the present held-out rows: the released student and the first one "
                "are measured on them when the next student is judged, by `distill-dagster run`"
            )
        return self._register.scored[student]


def _release(project: Project) -> Manifest:
    return earlier_release(project.store) or project.store.get(RELEASED)
