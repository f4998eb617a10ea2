"""Copies a whole store to another place: its artefacts, the replies that were paid for, and the alerts that were sent.

    copy_store("store", "s3://models/support", say)

Afterwards a project with the new `store:` finds everything fresh, and asks no teacher. What is made again from the rest
is not copied (row ids, versions of source files), nor what belongs to this machine: Dagster's home, the curves of
trainings, checkpoints of unfinished trainings.
"""

import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from distill_dagster.alerts.memory import ALERTS_FILE
from distill_dagster.config.bucket import is_bucket
from distill_dagster.errors import ConfigError
from distill_dagster.store.copying import copy_artefacts
from distill_dagster.store.documents import Documents
from distill_dagster.store.objects.bucket import open_bucket
from distill_dagster.store.objects.probe import probe
from distill_dagster.store.places import BucketFolder, Place, documents_in, open_store
from distill_dagster.teachers.responses import Responses


@dataclass(frozen=True, slots=True)
class Copied:
    """What was new in the target."""

    artefacts: int
    replies: int  # files of replies


def copy_store(source: str, target: str, say: Callable[[str, bool], None], local: Path | None = None) -> Copied:
    """Copy everything; what arrived before is not sent again. `say` gets each artefact, and whether it was new.

    `local` is the local folder of a source in a bucket, from which unsent replies of killed processes are copied.

    Raises:
        ConfigError: the source is no store, or both are one place.
        DataError: something did not arrive as it is, the target holds another version, its server cannot hold a store,
            or a place cannot be used.
    """
    if source == target:
        raise ConfigError(f"{source} is source and target: name two places")
    with tempfile.TemporaryDirectory(prefix="distill-copy-") as folder:
        here, there = Path(folder, "source"), Path(folder, "target")
        store = open_store(source, _local(source, here))
        if not store.backend.published():
            raise ConfigError(f"{source} holds no artefact: name the folder or the URL of a project's store")
        if is_bucket(target):
            probe(open_bucket(target))
        new = copy_artefacts(store, open_store(target, _local(target, there)), say)
        own = Responses(_place(source, "responses", local or here))
        replies = own.copy_to(Responses(_place(target, "responses", there)))
        _copy_alerts(_state(source, here), _state(target, there))
    return Copied(new, replies)


def _local(store: str, folder: Path) -> Path:
    return folder if is_bucket(store) else Path(store)


def _place(store: str, name: str, folder: Path) -> Place:
    return BucketFolder(store, name, folder) if is_bucket(store) else Path(store, name)


def _state(store: str, folder: Path) -> Documents:
    return documents_in(_place(store, "state", folder) if is_bucket(store) else Path(store))


def _copy_alerts(source: Documents, target: Documents) -> None:
    """The record of the alerts, unless the target has one of its own."""
    text = source.read(ALERTS_FILE)
    if text is not None and target.read(ALERTS_FILE) is None:
        target.write(ALERTS_FILE, text)
