"""Publish into an object store: each release has a prefix of its own, and `current.json` names the released one.

    s3://models/support/releases/3f2a91c07d3e-5b1c88aa/model.safetensors …
    s3://models/support/current.json        {"prefix": "releases/3f2a91c07d3e-5b1c88aa", "student": "3f2a…", …}

An object appears whole or not at all, and `current.json` is written last. So a reader that starts there never finds a
part of a release. The prefix is that of the content: an object of the right size in it is not sent again.
"""

import contextlib
import json
from collections.abc import Iterator
from typing import Any

from distill_dagster.config import BucketPlaceConfig
from distill_dagster.errors import PublishError
from distill_dagster.release.publish.bundle import RECORD_FILE, Bundle, ReleaseRecord, read_record
from distill_dagster.release.publish.specs import PublishedPlace

POINTER, TEST_OBJECT = "current.json", ".distill_preflight"


def publish_to_bucket(place: BucketPlaceConfig, bundle: Bundle) -> PublishedPlace:
    """Make the bundle the current release of the bucket's folder.

    Raises:
        PublishError: the bucket cannot be read or written, or belongs to another project.
    """
    with _explained(place):
        filesystem, base = _opened(place)
        before = _pointed(filesystem, base)
        bundle.require_own(before, place.url)
        prefix = f"releases/{bundle.release}"
        uploaded = _send(filesystem, f"{base}/{prefix}", bundle)
        is_there = before == bundle.record
        if not is_there:
            pointer = {"prefix": prefix, **bundle.record.model_dump()}
            filesystem.pipe_file(f"{base}/{POINTER}", json.dumps(pointer, indent=1, allow_nan=False).encode())
    return PublishedPlace(
        kind="bucket",
        place=place.url,
        state="already there" if is_there and not uploaded else "published",
        release=bundle.release,
        revision=bundle.release,
        url=f"{place.url}/{prefix}",
        uploaded=uploaded,
    )


def look_at_bucket(place: BucketPlaceConfig, project: str, whole: bool) -> str:
    """What was found in the bucket; with `whole`, it is read, and a test object is written and deleted.

    Raises:
        PublishError: it cannot be read or written, or belongs to another project.
    """
    with _explained(place):
        filesystem, base = _opened(place)
        if not whole:
            return f"{place.url} is known to fsspec"
        before = _pointed(filesystem, base)
        filesystem.pipe_file(f"{base}/{TEST_OBJECT}", b"preflight")
        filesystem.rm_file(f"{base}/{TEST_OBJECT}")
    if before and before.project != project:
        raise PublishError(
            f"{place.url} holds a release of the project {before.project}, and this one is {project}: choose another "
            "folder"
        )
    return f"{place.url} can be written"


def _opened(place: BucketPlaceConfig) -> tuple[Any, str]:
    """The filesystem, without what it has cached, and the path of the folder in it."""
    import fsspec

    filesystem, base = fsspec.core.url_to_fs(place.url)
    filesystem.invalidate_cache()
    return filesystem, base


def _send(filesystem: Any, prefix: str, bundle: Bundle) -> int:
    """Send the files that the prefix does not hold; returns how many. The record is the last of them."""
    found = filesystem.find(prefix, detail=True)
    sizes = {path.removeprefix(f"{prefix}/"): entry["size"] for path, entry in found.items()}
    missing = [name for name, size in bundle.sizes.items() if sizes.get(name) != size]
    for name in missing:
        if name == RECORD_FILE:
            filesystem.pipe_file(f"{prefix}/{name}", bundle.record.text.encode())
        else:
            filesystem.put_file(str(bundle.folder / name), f"{prefix}/{name}")
    return len(set(missing) - {RECORD_FILE})


def _pointed(filesystem: Any, base: str) -> ReleaseRecord | None:
    """The record of the current release."""
    try:
        text = filesystem.cat_file(f"{base}/{POINTER}")
    except FileNotFoundError:
        return None
    return read_record(text, f"{base}/{POINTER}")


@contextlib.contextmanager
def _explained(place: BucketPlaceConfig) -> Iterator[None]:
    """Every object store has its own error classes, so any error becomes a PublishError that names the place."""
    try:
        yield
    except PublishError:
        raise
    except ImportError as e:
        raise PublishError(f"{place.url}: {e}; for s3://, install `distill-dagster[s3]`") from e
    except Exception as e:
        said = str(e) or type(e).__name__
        raise PublishError(
            f"{place.url} cannot be read or written ({said}): look at the bucket's name, and at the credentials in the "
            "environment, and run again: what was sent is not sent again"
        ) from e
