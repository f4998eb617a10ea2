"""Small texts of a project in a bucket: an object for each, and leases as locks."""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass

from distill_dagster.store.documents import LockedError
from distill_dagster.store.objects.bucket import Bucket
from distill_dagster.store.objects.lease import HeldError, leased


@dataclass(frozen=True, slots=True)
class BucketDocuments:
    """The objects below `prefix`."""

    bucket: Bucket
    prefix: str

    def uri(self, name: str) -> str:
        """The object's URL."""
        return f"{self.bucket.url}/{self.prefix}/{name}"

    def read(self, name: str) -> str | None:
        """The object's text, or None."""
        found = self.bucket.get(f"{self.prefix}/{name}")
        return None if found is None else found.data.decode("utf-8")

    def write(self, name: str, text: str) -> None:
        """Write the object."""
        self.bucket.put(f"{self.prefix}/{name}", text.encode("utf-8"))

    def names(self) -> list[str]:
        """The objects' names."""
        return [entry.path.removeprefix(f"{self.prefix}/") for entry in self.bucket.list(self.prefix)]

    def remove(self, name: str) -> None:
        """Delete the object."""
        self.bucket.delete([f"{self.prefix}/{name}"])

    @contextlib.contextmanager
    def locked(self, name: str, *, wait: bool = True) -> Iterator[None]:
        """Hold a lease of this name."""
        with contextlib.ExitStack() as stack:
            try:
                stack.enter_context(leased(self.bucket, f"{self.prefix}/{name}", wait=wait))
            except HeldError:
                raise LockedError(name) from None
            yield
