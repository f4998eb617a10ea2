"""Processes that publish one artefact in a bucket, at once or until they are killed.

Each version holds three files with the same number in all of them, so that half a version is seen as one.
"""

import contextlib
import multiprocessing
import os
import time
from collections.abc import Callable
from pathlib import Path

from distill_dagster.errors import DataError
from distill_dagster.store.artefacts import Store
from distill_dagster.store.manifest import Manifest
from distill_dagster.store.objects import backend
from distill_dagster.store.objects.backend import ObjectBackend
from distill_dagster.store.objects.bucket import open_bucket
from distill_dagster.store.places import open_store
from distill_dagster.store.result import Counts, Result

ASSET = "raw_dataset"
NAMES = ("a.txt", "b.txt", "model/c.txt")
SIZE = 20_000
FORKS = multiprocessing.get_context("forkserver")
FORKS.set_forkserver_preload(["testing.store_writers"])


def write(out: Path, text: str) -> Result:
    """The files of a version."""
    for name in NAMES:
        (out / name).parent.mkdir(exist_ok=True)
        (out / name).write_text(text * SIZE)
    return Result(data_version=text, counts=Counts())


def publish(store: Store, shard: str, text: str, fingerprint: str | None = None) -> Manifest:
    """A version whose files hold `text`."""
    return store.publish(
        ASSET, shard, fingerprint=fingerprint or f"of {text}", inputs={}, make=lambda out, work: write(out, text)
    )


def text_of(manifest: Manifest) -> str:
    """The text of a version; AssertionError if its files are not all of one version."""
    found = {manifest.file(name).read_text() for name in NAMES}
    assert found == {manifest.data_version * SIZE}, "half a version"
    return manifest.data_version


def race(url: str, local: Path, number: int, barrier, results, locked: bool) -> None:
    """Publish with others at once, and tell which version is current then. Unlocked, all of them make their version."""
    if not locked:
        backend.leased = lambda *_, **__: contextlib.nullcontext()
    store = open_store(url, local)
    store.find(ASSET, "s0")
    made: list[int] = []

    def make(out: Path, work: Path) -> Result:
        made.append(number)
        if not locked:
            barrier.wait()  # nobody has published yet, and all are about to
        return write(out, str(number))

    if locked:
        barrier.wait()
    manifest = store.publish(ASSET, "s0", fingerprint="f", inputs={}, make=make)
    results.put((number, bool(made), manifest.version, text_of(manifest)))


def publish_for_ever(url: str, local: Path, shard: str, started) -> None:
    """Publish one version after the other."""
    store, number = open_store(url, local), 0
    while True:
        publish(store, shard, f"{number} ")
        number += 1
        started.set()


def hold(url: str, local: Path, shard: str, started) -> None:
    """Begin to make a version, under a lease of a second, and never end."""
    store = Store(local, ObjectBackend(open_bucket(url), local, lease_seconds=1.0))

    def make(out: Path, work: Path) -> Result:
        write(out, "half")
        started.set()
        time.sleep(3600)
        raise AssertionError

    store.publish(ASSET, shard, fingerprint="f", inputs={}, make=make)


def publish_when_told(url: str, local: Path, shard: str, started, go, said) -> None:
    """Begin to make a version under a lease of a second, end when told to, and tell how the publication ended."""
    store = Store(local, ObjectBackend(open_bucket(url), local, lease_seconds=1.0))

    def make(out: Path, work: Path) -> Result:
        result = write(out, "late")
        started.set()
        go.wait()
        return result

    try:
        said.put(store.publish(ASSET, shard, fingerprint="late", inputs={}, make=make).version)
    except DataError as e:
        said.put(str(e))


def start(target: Callable[..., None], *arguments) -> multiprocessing.Process:
    """A process that runs one of these functions."""
    settings = {name: value for name, value in os.environ.items() if name.startswith("AWS_")}
    process = FORKS.Process(target=_with_settings, args=(settings, target, arguments))
    process.start()
    return process


def _with_settings(settings: dict[str, str], target: Callable[..., None], arguments: tuple) -> None:
    """The server from which processes are forked may have been started with other variables."""
    os.environ.update(settings)
    target(*arguments)
