"""What the worker that publishes the released student takes, and what it says."""

from typing import Literal

from pydantic import BaseModel

from distill_dagster.config import PublishConfig
from distill_dagster.store.result import Counts, Result, Spec

PlaceKind = Literal["folder", "bucket", "hub", "mlflow"]


class PublishSpec(Spec):
    """Publish these files of the released student; the worker writes what it did into `out`."""

    project: str
    student: str | None  # None: no student is released, so nothing is published
    folder: str  # of the files
    files: dict[str, str]  # path in the folder -> SHA-256
    places: PublishConfig
    out: str

    @property
    def needs_device(self) -> bool:
        """No model answers."""
        return False


class PublishedPlace(BaseModel, frozen=True):
    """Where the release is, and what was done for it."""

    kind: PlaceKind
    place: str  # the folder, URL, repository, or registered model
    state: Literal["published", "already there"]
    release: str  # the bundle's name: that of a folder, a prefix or a tag
    revision: str  # commit or version, where the place counts its own; else the release
    url: str  # where people look at it, or load it from
    uploaded: int  # files that the place did not hold


class PublishCounts(Counts):
    """Places, files of the release, and files that were sent, over all places."""

    places: int
    files: int
    uploaded: int


class PublishResult(Result[PublishCounts]):
    """Where the released student is published."""

    student: str | None
    release: str | None
    places: list[PublishedPlace]
