"""What is published: the files of the released student, and a record of them that lies beside them at every place.

    distill_release.json (shortened)
    {"project": "support", "student": "3f2a…", "release": "3f2a91c07d3e-5b1c88aa", "files": {"README.md": "9d41…", …}}

The name of a release is made of the student's and of the hash of all files, so another model card of the same student
is another release, and the same files have the same name everywhere.
"""

from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel

from distill_dagster.errors import DataError, PublishError
from distill_dagster.release.gate import SHOWN, short
from distill_dagster.release.publish.specs import PlaceKind, PublishedPlace
from distill_dagster.store.disk import file_sha256
from distill_dagster.store.hashing import canonical_json, sha256

RECORD_FILE = "distill_release.json"


class ReleaseRecord(BaseModel, frozen=True):
    """Which release lies at a place, and the hash of each of its files."""

    project: str
    student: str
    release: str
    files: dict[str, str]

    @property
    def text(self) -> str:
        """The record as the text of its file."""
        return self.model_dump_json(indent=1) + "\n"


@dataclass(frozen=True, slots=True)
class Bundle:
    """The files of a released student; `files` has the SHA-256 of each path in `folder`."""

    project: str
    student: str
    folder: Path
    files: dict[str, str]

    @property
    def release(self) -> str:
        """The name of this release, by which every place knows it."""
        return f"{short(self.student)}-{content_of(self.files)[:8]}"

    @property
    def record(self) -> ReleaseRecord:
        """The record that lies beside the files."""
        return ReleaseRecord(project=self.project, student=self.student, release=self.release, files=self.files)

    @property
    def sizes(self) -> dict[str, int]:
        """Path -> bytes, of the files and of the record."""
        return {
            **{name: (self.folder / name).stat().st_size for name in self.files},
            RECORD_FILE: len(self.record.text.encode()),
        }

    def verify(self) -> None:
        """Read every file once.

        Raises:
            DataError: a file is not the one that was released.
        """
        for name, wanted in self.files.items():
            path = self.folder / name
            found = file_sha256(path) if path.is_file() else None
            if found != wanted:
                said = f"its SHA-256 is {found[:SHOWN]}, not {wanted[:SHOWN]}" if found else "it is gone"
                raise DataError(f"{path} is not the file that was released ({said}): restore it from a backup")

    def published(
        self, kind: PlaceKind, place: str, url: str, *, is_new: bool, uploaded: int, revision: str | None = None
    ) -> PublishedPlace:
        """That this release is at a place; `revision` is the place's own name of it."""
        return PublishedPlace(
            kind=kind,
            place=place,
            state="published" if is_new else "already there",
            release=self.release,
            revision=revision or self.release,
            url=url,
            uploaded=uploaded,
        )


def require_own(before: ReleaseRecord | None, project: str, place: str) -> None:
    """Raise PublishError if another project publishes at this place."""
    if before and before.project != project:
        raise PublishError(
            f"{place} holds a release of the project {before.project}, and this one is {project}: give each project a "
            "place of its own"
        )


def content_of(files: dict[str, str]) -> str:
    """The hash of the paths and hashes of all files."""
    return sha256(canonical_json(files))


def read_record(text: str | bytes, place: str) -> ReleaseRecord:
    """The record in the text of its file; PublishError if something else wrote it."""
    try:
        return ReleaseRecord.model_validate_json(text)
    except ValueError as e:
        raise PublishError(f"{place} is no record of a release: move it away, or publish somewhere else") from e
