"""The manifest of a published artefact: what it was made from, what it holds, and what its maker reports."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, fields
from pathlib import Path
from types import NoneType
from typing import Any, Protocol, TypeVar

from pydantic import ValidationError

from distill_dagster.errors import DataError
from distill_dagster.store.result import Result

R = TypeVar("R", bound=Result[Any])


def title_of(asset: str, shard: str | None) -> str:
    """An artefact's name for people, such as `teacher_outputs[train-part-03]`."""
    return f"{asset}[{shard}]" if shard else asset


class FilesAt(Protocol):
    """Where the files of a version are."""

    @property
    def uri(self) -> str:
        """The folder, or the URL, that holds them, for people."""
        ...

    @property
    def folder(self) -> Path:
        """The local folder of the version. It need not hold the files."""
        ...

    def local(self, names: Iterable[str]) -> Path:
        """The local folder of the version, with these of its files in it: those in a bucket are copied there first.

        Raises:
            DataError: a file cannot be copied.
        """
        ...


@dataclass(frozen=True, slots=True)
class Manifest:
    """The manifest of a published artefact. Its files are read by local paths, see `FilesAt`."""

    asset: str
    shard: str | None
    fingerprint: str  # hash of everything that went in: equal means there is nothing to do
    data_version: str  # hash of the content: equal means that nothing downstream is stale
    inputs: dict[str, Any]  # the values that the fingerprint hashes
    counts: dict[str, int]
    facts: dict[str, Any]  # scores, usage, versions: what the maker reports
    files: dict[str, str]  # path inside the folder -> sha256
    version: str
    created_at: str
    complete: bool = True
    files_at: FilesAt | None = field(default=None, compare=False, repr=False)

    def is_made_from(self, fingerprint: str) -> bool:
        """Whether the artefact is complete and was made from exactly these inputs."""
        return self.complete and self.fingerprint == fingerprint

    @property
    def launchpad(self) -> dict[str, Any]:
        """The settings in which the run that made it differed from distill.yaml; {} for most artefacts."""
        return self.facts.get("launchpad", {})

    @classmethod
    def of(cls, document: Any, files_at: Callable[[str, dict[str, str]], FilesAt | None]) -> "Manifest | None":
        """The manifest that `document` once returned; `files_at` finds the files of a version. None without them.

        Raises:
            ValueError: it is no manifest. Whoever wrote it may want to lead the reader out of the store.
        """
        require_manifest(document)
        found = files_at(document["version"], document["files"])
        return None if found is None else cls(**document, files_at=found)

    def read(self, kind: type[R]) -> R:
        """The worker's typed result.

        Raises:
            DataError: the manifest holds another one.
        """
        said = {**self.facts, "counts": self.counts, "data_version": self.data_version, "complete": self.complete}
        try:
            return kind.model_validate(said)
        except ValidationError as e:
            first = e.errors()[0]
            wrong = f"{'.'.join(map(str, first['loc']))}: {first['msg']}"
            raise DataError(
                f"the manifest of {title_of(self.asset, self.shard)} holds no {kind.__name__} ({wrong}): delete "
                f"{self.uri or 'its folder'} and materialize it again"
            ) from e

    @property
    def uri(self) -> str:
        """Where the files are, for people."""
        return self.files_at.uri if self.files_at else ""

    @property
    def folder(self) -> Path:
        """The local folder that holds all of the artefact's files."""
        return self.folder_with(*self.files)

    @property
    def described(self) -> Path:
        """The local folder that holds at least the JSON files, which say what a model is: not its weights."""
        return self.folder_with(*(name for name in self.files if name.endswith(".json")))

    def folder_with(self, *names: str) -> Path:
        """The local folder that holds at least these of the artefact's files, as far as it has them."""
        return self.files_at.local(name for name in names if name in self.files) if self.files_at else Path()

    def file(self, name: str) -> Path:
        """Local path of one of the artefact's files, or of a folder of them."""
        return self.folder_with(name, *(other for other in self.files if other.startswith(f"{name}/"))) / name

    def place_of(self, name: str) -> Path:
        """Where `file` finds one of the artefact's files, or a folder of them, which need not be there yet."""
        return (self.files_at.folder if self.files_at else Path()) / name

    def has(self, name: str) -> bool:
        """Whether the artefact has such a file, or a folder of that name."""
        return name in self.files or any(other.startswith(f"{name}/") for other in self.files)

    def document(self) -> dict[str, Any]:
        """What the store keeps of it."""
        return {name: getattr(self, name) for name in KEPT}


TYPES: dict[str, type | tuple[type, ...]] = {
    **dict.fromkeys(("asset", "fingerprint", "data_version", "version", "created_at"), str),
    **dict.fromkeys(("inputs", "counts", "facts", "files"), dict),
    "shard": (str, NoneType),
}
KEPT = tuple(own.name for own in fields(Manifest) if own.name != "files_at")


def require_manifest(document: Any) -> None:
    """Raise a ValueError unless this is what `Manifest.document` once returned. `complete` came later than the rest."""
    if not isinstance(document, dict) or not TYPES.keys() <= document.keys() <= set(KEPT):
        raise ValueError("it does not have the keys of a manifest")
    kinds = {**TYPES, "complete": bool} if "complete" in document else TYPES
    if wrong := [name for name in kinds if not isinstance(document[name], kinds[name])]:
        raise ValueError(f"{wrong[0]} has the wrong type")
    version, names = document["version"], document["files"]
    if not all(isinstance(hashed, str) for hashed in names.values()) or any(map(_leads_out, (version, *names))):
        raise ValueError("its files are not those of a version")


def _leads_out(name: str) -> bool:
    """Whether a path in a version's folder leads out of it."""
    return not name or name.startswith("/") or ".." in name.split("/") or "\0" in name
