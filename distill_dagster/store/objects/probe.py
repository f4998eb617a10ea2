"""Whether a server keeps the promises on which a store in a bucket rests: some take the headers and ignore them.

    create twice                  the second is refused          (If-None-Match: *)
    replace with a wrong tag      refused                        (If-Match)
    replace with the right tag    taken, and the tag changes
    eight writers create at once  exactly one of them wins

With a server that ignores them, two machines could both believe that they hold a lock, and the later of two manifests
would silently take the place of the other.
"""

import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache

from distill_dagster.errors import DataError
from distill_dagster.store.objects.bucket import Bucket, Tag, TakenError

WRITERS = 8


def probe(bucket: Bucket) -> str:
    """What was found; writes below `probe/`, and deletes it.

    Raises:
        DataError: the server cannot be used, or breaks a promise; the message says which.
    """
    folder = f"probe/{uuid.uuid4().hex}"
    try:
        if broken := _broken_promise(bucket, folder):
            raise DataError(
                f"{bucket.url} cannot hold a store: {broken}, so two runs could publish over one another; use a "
                "server with conditional writes, such as Amazon S3 or Google Cloud Storage, or a local `store:`"
            )
    finally:
        bucket.delete([entry.path for entry in bucket.list(folder)])
    return f"{bucket.url} can be written, and refuses what conditional writes must refuse"


@lru_cache(maxsize=16)
def require_conditional_writes(bucket: Bucket) -> None:
    """`probe` a bucket once in this process, before it is written: not every run begins with a preflight."""
    probe(bucket)


def _broken_promise(bucket: Bucket, folder: str) -> str | None:
    path = f"{folder}/one"
    tag = bucket.create(path, b"first")
    if not _is_refused(lambda: bucket.create(path, b"second")):
        return "its server let two writers create the same object (it ignores `If-None-Match: *`)"
    later = bucket.replace(path, b"third", tag)
    if not _is_refused(lambda: bucket.replace(path, b"fourth", tag)):
        return "its server let a writer replace an object that had changed (it ignores `If-Match`)"
    found = bucket.get(path)
    if found is None or found.data != b"third" or found.tag.e_tag != later.e_tag:
        return "its server does not return what was written last"
    won = _race(bucket, f"{folder}/race")
    return None if won == 1 else f"{won} of {WRITERS} writers at once created the same object on its server"


def _is_refused(write: Callable[[], Tag]) -> bool:
    try:
        write()
    except TakenError:
        return True
    return False


def _race(bucket: Bucket, path: str) -> int:
    """How many of several writers at once create the same object."""
    with ThreadPoolExecutor(WRITERS) as pool:
        refused = pool.map(lambda n: _is_refused(lambda: bucket.create(path, f"writer {n}".encode())), range(WRITERS))
        return WRITERS - sum(refused)
