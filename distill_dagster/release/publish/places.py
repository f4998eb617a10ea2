"""The kinds of places by their names in the config."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from distill_dagster.config import PublishConfig, Section
from distill_dagster.release.publish.bucket import look_at_bucket, publish_to_bucket
from distill_dagster.release.publish.bundle import Bundle
from distill_dagster.release.publish.folder import look_at_folder, publish_to_folder
from distill_dagster.release.publish.hub import look_at_hub, publish_to_hub
from distill_dagster.release.publish.mlflow_registry import look_at_mlflow, publish_to_mlflow
from distill_dagster.release.publish.specs import PlaceKind, PublishedPlace


@dataclass(frozen=True, slots=True)
class Kind:
    """What can be done at a kind of place; both raise a PublishError with the way out."""

    publish: Callable[[Any, Bundle], PublishedPlace]
    look: Callable[[Any, str, bool], str]  # (place, project, whole) -> what was found


KINDS: dict[PlaceKind, Kind] = {
    "folder": Kind(publish_to_folder, look_at_folder),
    "bucket": Kind(publish_to_bucket, look_at_bucket),
    "hub": Kind(publish_to_hub, look_at_hub),
    "mlflow": Kind(publish_to_mlflow, look_at_mlflow),
}


def places_in(config: PublishConfig) -> Iterator[tuple[PlaceKind, Section]]:
    """The places of a project, in the order of their kinds."""
    for kind in KINDS:
        if (place := getattr(config, kind)) is not None:
            yield kind, place
