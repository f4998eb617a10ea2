"""Publish into an object store: each release has a prefix of its own, and `current.json` names the released one.

    s3://models/support/releases/3f2a91c07d3e-5b1c88aa/model.safetensors …
    s3://models/support/current.json        {"prefix": "releases/3f2a91c07d3e-5b1c88aa", "student": "3f2a…", …}

An object appears whole or not at all, and `current.json` is written last. So a reader that starts there never finds a
part of a release. The prefix is that of the content: an object of the right size in it is not sent again. A file that
the previous release has too is copied inside the store.
"""

import contextlib
import json
import os
import re
from collections.abc import Iterator
from typing import Any

from distill_dagster.config import BucketPlaceConfig
from distill_dagster.errors import PublishError
from distill_dagster.release.publish.bundle import RECORD_FILE, Bundle, ReleaseRecord, read_record, require_own
from distill_dagster.release.publish.messages import first_line
from distill_dagster.release.publish.specs import PublishedPlace

POINTER, TEST_OBJECT = "current.json", ".distill_preflight"
SECRET = re.compile(r"SECRET|TOKEN|PASSWORD|ACCOUNT_KEY|CONNECTION_STRING")  # in the name of a store's variable


def publish_to_bucket(place: BucketPlaceConfig, bundle: Bundle) -> PublishedPlace:
    """Make the bundle the current release of the bucket's folder.

    Raises:
        PublishError: the bucket cannot be read or written, or belongs to another project.
    """
    with _explained(place):
        filesystem, base = _opened(place)
        before = _pointed(filesystem, base)
        require_own(before, bundle.project, place.url)
        prefix = _prefix_of(bundle.release)
        if before:
            _copy(filesystem, base, before, bundle)
        uploaded = _send(filesystem, f"{base}/{prefix}", bundle)
        is_new = before != bundle.record
        if is_new:
            pointer = {"prefix": prefix, **bundle.record.model_dump()}
            filesystem.pipe_file(f"{base}/{POINTER}", json.dumps(pointer, indent=1, allow_nan=False).encode())
    url = f"{place.url}/{prefix}"
    return bundle.published("bucket", place.url, url, is_new=is_new or uploaded > 0, uploaded=uploaded)


def look_at_bucket(place: BucketPlaceConfig, project: str, whole: bool) -> str:
    """What was found in the bucket; with `whole`, it is read, and a test object is written and deleted.

    Raises:
        PublishError: it cannot be read or written, or belongs to another project.
    """
    with _explained(place):
        filesystem, base = _opened(place)
        if not whole:
            return f"{place.url} is known to fsspec"
        require_own(_pointed(filesystem, base), project, place.url)
        filesystem.pipe_file(f"{base}/{TEST_OBJECT}", b"preflight")
        filesystem.rm_file(f"{base}/{TEST_OBJECT}")
    return f"{place.url} can be written"


def _opened(place: BucketPlaceConfig) -> tuple[Any, str]:
    """The filesystem, without what it has cached, and the path of the folder in it."""
    import fsspec

    filesystem, base = fsspec.core.url_to_fs(place.url)
    filesystem.invalidate_cache()
    return filesystem, base


def _prefix_of(release: str) -> str:
    return f"releases/{release}"


def _sizes(filesystem: Any, prefix: str) -> dict[str, int]:
    """Path below the prefix -> bytes."""
    found = filesystem.find(prefix, detail=True)
    return {path.removeprefix(f"{prefix}/"): entry["size"] for path, entry in found.items()}


def _copy(filesystem: Any, base: str, before: ReleaseRecord, bundle: Bundle) -> None:
    """Copy what the previous release has and the prefix does not hold, inside the store. What it refuses is sent."""
    source, target = f"{base}/{_prefix_of(before.release)}", f"{base}/{_prefix_of(bundle.release)}"
    held, there, sizes = _sizes(filesystem, source), _sizes(filesystem, target), bundle.sizes
    same = [name for name, digest in bundle.files.items() if before.files.get(name) == digest]
    missing = [name for name in same if held.get(name) == sizes[name] != there.get(name)]
    for name in missing:
        with contextlib.suppress(NotImplementedError, OSError):  # no such call, or no right to it
            filesystem.cp_file(f"{source}/{name}", f"{target}/{name}")
    filesystem.invalidate_cache()


def _send(filesystem: Any, prefix: str, bundle: Bundle) -> int:
    """Send the files that the prefix does not hold; returns how many. The record is the last of them."""
    sizes = _sizes(filesystem, prefix)
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
        raise PublishError(f"{place.url}: {first_line(e, [])}; for s3://, install `distill-dagster[s3]`") from None
    except Exception as e:  # noqa: BLE001 - see the docstring
        secrets = [value for name, value in os.environ.items() if SECRET.search(name)]
        raise PublishError(
            f"{place.url} cannot be read or written ({first_line(e, secrets)}): look at the bucket's name, and at the "
            "credentials in the environment, and run again: what was sent is not sent again"
        ) from None
