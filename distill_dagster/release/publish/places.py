"""The kinds of places by their names in the config."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

from distill_dagster.config import PublishConfig, Section
from distill_dagster.release.publish.bucket import look_at_bucket, publish_to_bucket
from distill_dagster.release.publish.bundle import Bundle
from distill_dagster.release.publish.folder import look_at_folder, publish_to_folder
from distill_dagster.release.publish.hub import look_at_hub, publish_to_hub
from distill_dagster.release.publish.mlflow_registry import look_at_mlflow, publish_to_mlflow
from distill_dagster.release.publish.specs import PlaceKind, PublishedPlace

S = TypeVar("S", bound=Section)


@dataclass(frozen=True, slots=True)
class ReleasePlace:
    """A place of a project, and what can be done there; both raise a PublishError with the way out."""

    kind: PlaceKind
    publish: Callable[[Bundle], PublishedPlace]
    look: Callable[[str, bool], str]  # (project, whole) -> what was found


def places_in(config: PublishConfig) -> list[ReleasePlace]:
    """The places of a project, in the order of their kinds."""
    named = (
        _place("folder", config.folder, publish_to_folder, look_at_folder),
        _place("bucket", config.bucket, publish_to_bucket, look_at_bucket),
        _place("hub", config.hub, publish_to_hub, look_at_hub),
        _place("mlflow", config.mlflow, publish_to_mlflow, look_at_mlflow),
    )
    return [place for place in named if place is not None]


def _place(
    kind: PlaceKind,
    section: S | None,
    publish: Callable[[S, Bundle], PublishedPlace],
    look: Callable[[S, str, bool], str],
) -> ReleasePlace | None:
    return ReleasePlace(kind, partial(publish, section), partial(look, section)) if section is not None else None
