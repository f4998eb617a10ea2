"""A lock of many machines: an object that names its owner, which renews it while it holds the lock.

    locks/teacher_outputs/train-part-00.json    {"owner": "host-a:4711:9c01…", "held": true, "beat": 3, "seconds": 60.0}

A process that finds no object, or a free one, writes its name into it by a conditional write, so one of many wins. A
thread of the owner renews it. An object that was not renewed for the time of its lease is that of a dead owner, and is
taken over. That age is measured by the server's clock alone: the time of the object's last write, and the time at which
the server writes another object now.

An owner that was stopped for longer than its lease does not know that it lost it. So a lease keeps work from being done
twice, and the conditional write of the manifest keeps it from being published twice.
"""

import contextlib
import json
import os
import socket
import threading
import time
import uuid
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

from distill_dagster.errors import DataError
from distill_dagster.store.objects.bucket import Bucket, Stored, Tag, TakenError

LEASE_SECONDS = 60.0
RENEWALS = 4  # in the time of a lease
ROUNDING = timedelta(seconds=2)  # both times of the server's clock are whole seconds
FIRST_WAIT, LONGEST_WAIT = 0.1, 5.0  # seconds between two looks at a lock that is held


class HeldError(Exception):
    """Somebody else holds the lock."""


@contextlib.contextmanager
def leased(bucket: Bucket, name: str, *, wait: bool = True, seconds: float = LEASE_SECONDS) -> Iterator["Lease"]:
    """Hold the lock of this name for the block.

    Raises:
        HeldError: somebody else holds it, and `wait` is False.
        DataError: the bucket cannot be used.
    """
    lease = Lease(bucket, name, seconds)
    lease.acquire(wait)
    try:
        yield lease
    finally:
        lease.release()


def is_free(bucket: Bucket, found: Stored) -> bool:
    """Whether nobody holds a lock, or nobody renewed it for the time of its lease."""
    said: dict[str, Any] = json.loads(found.data)
    return not said["held"] or bucket.now() - found.written_at > timedelta(seconds=said["seconds"]) + ROUNDING


def is_held(bucket: Bucket, name: str) -> bool:
    """Whether somebody holds the lock of this name now."""
    found = bucket.get(f"locks/{name}.json")
    return found is not None and not is_free(bucket, found)


class Lease:
    """One owner's hold of a lock."""

    def __init__(self, bucket: Bucket, name: str, seconds: float = LEASE_SECONDS) -> None:
        self._bucket, self._path, self._seconds = bucket, f"locks/{name}.json", seconds
        self._owner = f"{socket.gethostname()}:{os.getpid()}:{uuid.uuid4().hex}"
        self._beat, self._tag, self._ended = 0, Tag(None, None), threading.Event()
        self._thread = threading.Thread(target=self._renew, name=f"lease of {name}", daemon=True)
        self.is_lost = False  # somebody took it over

    def acquire(self, wait: bool = True) -> None:
        """Take the lock; HeldError if it is held and `wait` is False."""
        pause = FIRST_WAIT
        while not self._try():
            if not wait:
                raise HeldError(self._path)
            time.sleep(pause)
            pause = min(pause * 1.5, LONGEST_WAIT, self._seconds / RENEWALS)
        self._thread.start()

    def _try(self) -> bool:
        found = self._bucket.get(self._path)
        try:
            if found is None:
                self._tag = self._bucket.create(self._path, self._document())
            elif is_free(self._bucket, found):
                self._tag = self._bucket.replace(self._path, self._document(), found.tag)
            else:
                return False
        except TakenError:
            return False
        return True

    def _renew(self) -> None:
        while not self._ended.wait(self._seconds / RENEWALS):
            self._beat += 1
            try:
                self._tag = self._bucket.replace(self._path, self._document(), self._tag)
            except TakenError:
                with contextlib.suppress(DataError):
                    if not self._is_own():
                        self.is_lost = True
                        return
            except DataError:
                continue  # the bucket does not answer: tried again while the lease may still hold

    def _is_own(self) -> bool:
        """Whether the lock still names this owner: the answer to an earlier renewal was lost, and its tag with it."""
        found = self._bucket.get(self._path)
        if found is None or json.loads(found.data)["owner"] != self._owner:
            return False
        self._tag = found.tag
        return True

    def release(self) -> None:
        """Give the lock back; one that somebody took over, or that cannot be reached, is left to its lease."""
        self._ended.set()
        self._thread.join()
        if not self.is_lost:
            with contextlib.suppress(TakenError, DataError):
                self._bucket.replace(self._path, self._document(held=False), self._tag)

    def _document(self, held: bool = True) -> bytes:
        said = {"owner": self._owner, "held": held, "beat": self._beat, "seconds": self._seconds}
        return json.dumps(said, allow_nan=False).encode()
