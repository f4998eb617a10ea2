"""The worker that publishes the released student to every place.

A place that fails does not keep the others from getting the release: the error names all that failed, and the next run
finds the release at those that have it.
"""

from pathlib import Path

from distill_dagster.errors import PublishError
from distill_dagster.progress import track
from distill_dagster.release.publish.bundle import Bundle
from distill_dagster.release.publish.places import places_in
from distill_dagster.release.publish.specs import PublishCounts, PublishedPlace, PublishResult, PublishSpec
from distill_dagster.store import files
from distill_dagster.store.hashing import canonical_json, sha256

NOTHING = sha256("no student is published")  # the data version then


def publish_student(spec: PublishSpec, device: str) -> PublishResult:
    """Publish the released student, and write into `spec.out` where it is.

    Raises:
        DataError: a file of the release is not the one that was released.
        PublishError: a place cannot be reached, read or written.
    """
    if spec.student is None:
        return _written(spec, None, [])
    bundle = Bundle(spec.project, spec.student, Path(spec.folder), spec.files)
    bundle.verify()
    done, failed = [], []
    places = places_in(spec.places)
    with track("publish", total=len(places)) as advance:
        for place in places:
            try:
                done.append(place.publish(bundle))
            except PublishError as e:
                failed.append(f"{place.kind}: {e}")
            advance(1)
    if failed:
        also = f" (published: {', '.join(place.kind for place in done)})" if done else ""
        raise PublishError("; ".join(failed) + also)
    return _written(spec, bundle.release, done)


def _written(spec: PublishSpec, release: str | None, places: list[PublishedPlace]) -> PublishResult:
    lies_at = [[place.kind, place.place] for place in places]
    result = PublishResult(
        data_version=sha256(canonical_json([release, lies_at])) if places else NOTHING,
        counts=PublishCounts(
            places=len(places),
            files=len(spec.files) if places else 0,
            uploaded=sum(place.uploaded for place in places),
        ),
        student=spec.student,
        release=release,
        places=places,
    )
    text = result.model_dump_json(indent=1, include={"student", "release", "places"})
    (Path(spec.out) / files.PUBLISHED_FILE).write_text(text + "\n", encoding="utf-8")
    return result
