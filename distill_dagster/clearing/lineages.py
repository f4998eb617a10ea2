"""Which versions before the current ones must stay, because something that is kept was made from them.

A manifest names what an artefact was made from, by the content of it. So the versions that stay are found from the
manifests alone, from three beginnings:

    current artefacts       all that they were made from
    released students       the same, of the present champion and of each student that `rollback` can reach; and the
                            benchmarks, reports and exports that were made from the student, with their own lineage
    what is being made      what its stage may read
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from distill_dagster.config import DistillConfig
from distill_dagster.lineage.releases import earlier_release
from distill_dagster.lineage.stages import STAGES, ancestors
from distill_dagster.lineage.student import STAGE
from distill_dagster.release.register import REGISTER, read_register
from distill_dagster.store.artefacts import Store
from distill_dagster.store.old_versions import NamedVersion

RELEASED = "a student that is released, or that `rollback` can release, comes from it or was judged with it"
READ = "a current artefact was made from it"
Content = tuple[str, str]  # the key of an artefact, and the data version of what it holds


def kept_releases(store: Store) -> tuple[set[str], set[str]]:
    """The data versions of all students whose models a release keeps, and the runs that decided about them.

    Raises:
        DataError: a file of the release is gone.
    """
    release = earlier_release(store)
    register = read_register(release.folder_with(*REGISTER) if release else None)
    students = set(register.state.kept)
    return students, {d.run_id for d in register.decisions if d.student in students and d.run_id}


def must_stay(named: Iterable[NamedVersion], students: set[str]) -> dict[NamedVersion, str]:
    """The versions that something kept was made from, with the reason."""
    known = _Manifests(list(named))
    judged = known.made_from({(STAGE, student) for student in students})
    current = (version for version in known.all if version.replaced_at is None)
    return {**dict.fromkeys(known.lineage_of(current), READ), **dict.fromkeys(known.lineage_of(judged), RELEASED)}


def being_read(named: Iterable[NamedVersion], written: Iterable[str], config: DistillConfig) -> dict[NamedVersion, str]:
    """The versions that the makers of these artefacts may be reading, with the reason."""
    readers: dict[str, str] = {}
    for key in sorted(written):
        asset = key.partition("/")[0]
        if asset in STAGES:
            readers |= dict.fromkeys({asset, *ancestors(STAGES[asset], config)}, key)
    return {v: f"{readers[v.asset]} is being made, and may read it" for v in named if v.asset in readers}


@dataclass(slots=True)
class _Manifests:
    all: list[NamedVersion]
    _by_content: dict[Content, NamedVersion] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for version in sorted(self.all, key=lambda version: version.replaced_at is None):
            self._by_content[version.key, version.data_version] = version  # the current one, if it holds the same

    def made_from(self, contents: set[Content]) -> set[NamedVersion]:
        """The versions of these contents, and all that were made from them, directly or not."""
        found, known = set(self._of(contents)), set(contents)
        while new := {v for v in self.all if v not in found and known.intersection(_inputs_of(v))}:
            found |= new
            known |= {(version.key, version.data_version) for version in new}
        return found

    def _of(self, contents: Iterable[Content]) -> list[NamedVersion]:
        return [self._by_content[content] for content in contents if content in self._by_content]

    def lineage_of(self, versions: Iterable[NamedVersion]) -> set[NamedVersion]:
        """These versions and all that they were made from."""
        found, look = set[NamedVersion](), list(versions)
        while look:
            version = look.pop()
            if version not in found:
                found.add(version)
                look += self._of(_inputs_of(version))
        return found


def _inputs_of(version: NamedVersion) -> Iterator[Content]:
    """What a version was made from: its inputs hold the data version of each artefact, of all shards or of its own."""
    for name, said in version.inputs.items():
        if name in STAGES and isinstance(said, str):
            yield (f"{name}/{version.shard}" if STAGES[name].sharded else name), said
        elif name in STAGES and isinstance(said, dict):
            yield from ((f"{name}/{shard}", data_version) for shard, data_version in said.items())
