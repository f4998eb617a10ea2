"""What people read in the UI about a published release: where it is, and by which revision."""

from typing import Any

import dagster as dg

from distill_dagster.assets.views.tables import table_of
from distill_dagster.release.gate import short
from distill_dagster.release.publish.specs import PublishedPlace, PublishResult
from distill_dagster.store.manifest import Manifest

NOTHING = "nothing: no student is released yet"
COLUMNS = {
    "kind": "The kind of place.",
    "place": "The folder, URL, repository, or registered model.",
    "state": "Whether this run published the release there, or found it.",
    "revision": "The commit or version at the place; else the release's name.",
    "url": "Where to look at it, or load it from.",
    "uploaded": "Files that the place did not hold.",
}


def publish_view(manifest: Manifest) -> dict[str, Any]:
    """Metadata of `published_student`."""
    result = manifest.read(PublishResult)
    return {
        "published": short(result.student) if result.places else NOTHING,
        "release": result.release or NOTHING,
        "places": table_of([as_row(place) for place in result.places], COLUMNS),
        **{f"revision_{place.kind}": place.revision for place in result.places},
        **{f"url_{place.kind}": _link(place.url) for place in result.places},
    }


def as_row(place: PublishedPlace) -> dict[str, Any]:
    """A place as a row for people."""
    return place.model_dump(include=set(COLUMNS))


def _link(url: str) -> dg.MetadataValue:
    return dg.MetadataValue.url(url) if url.startswith("http") else dg.MetadataValue.path(url)
