"""An object store, by the few operations that a store needs of it: S3, Google Cloud Storage, Azure Blob Storage.

    bucket = open_bucket("s3://models/support")
    tag = bucket.create("locks/eval_report.json", b"mine")     TakenError if it exists        (If-None-Match: *)
    bucket.replace("locks/eval_report.json", b"free", tag)     TakenError if it has changed   (If-Match: the tag)

obstore does the requests: it has conditional writes for all three services, with their own kinds of tags. A write whose
answer is lost is repeated and then refused because of itself, and S3 answers 409 while another write is under way. So
after every refusal the object is read: if it holds the data, the write took place.
"""

import contextlib
import os
import re
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from distill_dagster.errors import DataError

CLOCKS = 64  # objects that are written to read the server's clock: Google takes one write of an object a second
SETTINGS = re.compile(r"(AWS|GOOGLE|AZURE)_")  # environment variables that obstore reads
SECRET = re.compile(r"SECRET|TOKEN|PASSWORD|ACCOUNT_KEY|CREDENTIALS")  # in the name of one whose value is not shown
PART_BYTES, PARALLEL_PARTS = 16 * 2**20, 2  # of an upload: S3 takes 10,000 parts, so 160 GB a file
CONDITIONAL_TRIES, CONFLICT_SECONDS = 10, 0.05  # of a write that another one stopped, which did not take place either
RETRY_SECONDS = 60


class TakenError(Exception):
    """A conditional write found another object than it expected; nothing was written."""


@dataclass(frozen=True, slots=True)
class Tag:
    """What tells two states of an object apart: S3 and Azure compare the ETag, Google the version."""

    e_tag: str | None
    version: str | None


@dataclass(frozen=True, slots=True)
class Listed:
    """An object as a listing shows it. The time is that of the server's clock, in whole seconds."""

    path: str
    size: int
    tag: Tag
    written_at: datetime


@dataclass(frozen=True, slots=True)
class Stored:
    """An object's data, with its state."""

    data: bytes
    tag: Tag
    written_at: datetime


class Bucket:
    """The objects below a URL. Paths are relative to it. Every method raises DataError if the server cannot be used."""

    def __init__(self, url: str, store: Any) -> None:
        self.url, self._store = url, store

    def get(self, path: str) -> Stored | None:
        """An object; None where there is none."""
        with self._explained():
            try:
                found = self._store.get(path)
            except FileNotFoundError:
                return None
            meta = found.meta
            return Stored(bytes(found.bytes()), Tag(meta["e_tag"], meta["version"]), meta["last_modified"])

    def create(self, path: str, data: bytes) -> Tag:
        """Write an object that must not exist; `data` must be unlike that of any other writer.

        Raises:
            TakenError: it exists.
        """
        return self._conditional(path, data, None)

    def replace(self, path: str, data: bytes, tag: Tag) -> Tag:
        """Write over an object that must be in the state of `tag`; `data` must be unlike that of any other writer.

        Raises:
            TakenError: it has changed, or is gone.
        """
        return self._conditional(path, data, tag)

    def _conditional(self, path: str, data: bytes, expected: Tag | None) -> Tag:
        """Write over the expected state; a refusal after which that is still the state was of another one's attempt."""
        for number in range(CONDITIONAL_TRIES):
            if (made := self._try(path, data, expected)) is not None:
                return made
            found = self.get(path)
            if found is not None and found.data == data:
                return found.tag
            if (found and found.tag.e_tag) != (expected and expected.e_tag):
                break
            time.sleep(number * CONFLICT_SECONDS)
        raise TakenError(path)

    def _try(self, path: str, data: bytes, expected: Tag | None) -> Tag | None:
        """The new tag; None if the server refuses the write."""
        from obstore.exceptions import AlreadyExistsError, PreconditionError

        known = {"e_tag": expected.e_tag, "version": expected.version} if expected else {}
        mode = {name: value for name, value in known.items() if value is not None} or "create"
        with self._explained():
            try:
                made = self._store.put(path, data, mode=mode)
            except (AlreadyExistsError, PreconditionError):
                return None
            except FileNotFoundError:  # the object is gone; to create one, the bucket is
                if expected is None:
                    raise
                return None
        return Tag(made["e_tag"], made["version"])

    def put(self, path: str, data: bytes) -> None:
        """Write an object that no other writer names, or whose last writer wins."""
        with self._explained():
            self._store.put(path, data)

    def put_file(self, path: str, file: Path) -> None:
        """Send a file, a large one in parts; the object appears whole or not at all."""
        with self._explained():
            self._store.put(path, file, chunk_size=PART_BYTES, max_concurrency=PARALLEL_PARTS)

    def chunks(self, path: str) -> Iterator[bytes] | None:
        """An object's data, piece by piece; None where there is none."""
        with self._explained():
            try:
                return self._explained_chunks(self._store.get(path))
            except FileNotFoundError:
                return None

    def _explained_chunks(self, found: Any) -> Iterator[bytes]:
        with self._explained():
            yield from map(bytes, found.stream(min_chunk_size=2**20))

    def list(self, prefix: str) -> list[Listed]:
        """All objects below a folder, sorted by path."""
        with self._explained():
            entries = [entry for page in self._store.list(prefix) for entry in page]
        found = [Listed(e["path"], e["size"], Tag(e["e_tag"], e["version"]), e["last_modified"]) for e in entries]
        return sorted(found, key=lambda listed: listed.path)

    def delete(self, paths: Iterable[str]) -> None:
        """Delete these objects; one that does not exist counts as deleted."""
        wanted = list(paths)
        with self._explained():
            try:
                self._store.delete(wanted)  # S3 takes a thousand in a request
            except FileNotFoundError:
                for path in wanted:
                    with contextlib.suppress(FileNotFoundError):
                        self._store.delete(path)

    def now(self) -> datetime:
        """The server's clock, in whole seconds: leases and ages are measured by it, as clocks of machines differ."""
        path = f"clock/{os.getpid() % CLOCKS}"
        with self._explained():
            self._store.put(path, b"")
            return self._store.head(path)["last_modified"]

    @contextlib.contextmanager
    def _explained(self) -> Iterator[None]:
        """Turn the errors of the service into one that names the bucket."""
        from obstore.exceptions import BaseError, PermissionDeniedError, UnauthenticatedError

        try:
            yield
        except (PermissionDeniedError, UnauthenticatedError) as e:
            raise DataError(f"{self.url} may not be used ({_said(e)}): look at the credentials' rights") from None
        except (BaseError, FileNotFoundError) as e:
            raise DataError(
                f"{self.url} cannot be used ({_said(e)}): look at the bucket's name, the endpoint and the credentials "
                "in the environment, and run again: what is in the bucket is kept"
            ) from None


def open_bucket(url: str, retry_seconds: int = RETRY_SECONDS) -> Bucket:
    """The bucket's folder at `url`, with endpoint and credentials from the environment.

    Raises:
        DataError: obstore is not installed, or a setting in the environment is wrong.
    """
    return _open(url.rstrip("/"), retry_seconds, tuple(sorted(i for i in os.environ.items() if SETTINGS.match(i[0]))))


@lru_cache(maxsize=16)
def _open(url: str, retry_seconds: int, settings: tuple[tuple[str, str], ...]) -> Bucket:
    """One client for each set of settings, as its connections are kept."""
    if find_spec("obstore") is None:
        raise DataError(f"store: {url} needs obstore: install `distill-dagster[bucket]`")
    from obstore import store
    from obstore.exceptions import BaseError

    is_plain = any(name.endswith("ENDPOINT_URL") and value.startswith("http://") for name, value in settings)
    options: dict[str, Any] = {"client_options": {"allow_http": True}} if is_plain else {}
    if url.startswith("s3://") and (provider := _aws_credentials(dict(settings))) is not None:
        options["credential_provider"] = provider
    from_url: Any = store.from_url  # its types are those of each service
    retry = {"retry_timeout": timedelta(seconds=retry_seconds), "max_retries": retry_seconds}
    try:
        return Bucket(url, from_url(url, retry_config=retry, **options))
    except (BaseError, ValueError) as e:
        raise DataError(f"store: {url} cannot be opened ({_said(e)})") from None


def _aws_credentials(settings: dict[str, str]) -> Any:
    """What boto3 finds in AWS's files, where the environment holds no key; else None, and obstore looks."""
    if "AWS_ACCESS_KEY_ID" in settings or find_spec("boto3") is None:
        return None
    from boto3 import Session
    from obstore.auth.boto3 import Boto3CredentialProvider

    session = Session()
    return Boto3CredentialProvider(session) if session.get_credentials() is not None else None


def _said(error: Exception) -> str:
    """The first line of an error that says something, without the values of secrets."""
    text = next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
    for name, value in os.environ.items():
        if value and SECRET.search(name):
            text = text.replace(value, "***")
    return text[:400]
