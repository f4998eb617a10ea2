"""Whether an artefact is up to date: the fingerprint of everything that it is made from.

An artefact's fingerprint is the hash of its stage's code version, the data versions of the artefacts that it reads, and
the part of the config that shapes it. The manifest carries the fingerprint that the artefact was made from, so

    fingerprint(inputs_of(look, "teacher_outputs", "train-part-03")) == look.find(…).fingerprint

means that the shard is up to date, even if files were renamed or touched, or a stage ran again, in between.
"""

from distill_dagster.config import DistillConfig
from distill_dagster.lineage.snapshot import Snapshot
from distill_dagster.lineage.stage import Inputs
from distill_dagster.lineage.stages import RAW_SHARDS, STAGES, TEST_FILES, follows, stages_of
from distill_dagster.sources.files.versions import UnreadableError
from distill_dagster.store.hashing import canonical_json, sha256


def inputs_of(look: Snapshot, name: str, shard: str | None = None) -> Inputs:
    """Everything that shapes an artefact, upstream data versions included.

    Raises:
        NotPublishedError: an artefact that it reads has not been made.
        DataError: its source file is missing, or cannot be read (UnreadableError).
    """
    stage = STAGES[name]
    inputs: Inputs = {"stage": name, "code_version": stage.code_version, **stage.shaped_by(look.config)}
    for read in stage.reads(look.config):
        inputs |= _version_of(look, read, shard)
    return inputs | stage.also(look, shard)


def _version_of(look: Snapshot, read: str, shard: str | None) -> Inputs:
    """The version of what is read. Of a sharded artefact, that is the reader's own shard, or all if it has none."""
    if read == RAW_SHARDS:
        source = look.source(shard)
        return {"source": look.source_version(source.key), "split": source.split}
    if read == TEST_FILES:
        return {"sources": look.test_versions()}
    if not STAGES[read].sharded:
        return {read: look.get(read).data_version}
    if shard is not None:
        return {read: look.get(read, shard).data_version}
    return {read: {key: manifest.data_version for key, manifest in look.get_all(read).items()}}


def fingerprint(inputs: Inputs) -> str:
    """Hex SHA-256 of an artefact's inputs."""
    return sha256(canonical_json(inputs))


def is_fresh(look: Snapshot, name: str, shard: str | None = None) -> bool:
    """Whether the published artefact was made from exactly the present inputs.

    False if its source file cannot be read; making the artefact then says why.
    """
    manifest = look.find(name, shard)
    try:
        return manifest is not None and manifest.is_made_from(fingerprint(inputs_of(look, name, shard)))
    except UnreadableError:
        return False


def code_versions(config: DistillConfig) -> dict[str, str]:
    """Dagster's code version of each stage.

    It changes with the stage's own code version, with the part of the config that shapes it, and with the code
    versions of the stages that it follows. So all of a chain shows a change before its first link is made again.
    """
    versions: dict[str, str] = {}
    for stage in stages_of(config):
        upstream = sorted(versions[name] for name in follows(stage, config) if name in STAGES)
        versions[stage.name] = (
            f"{stage.code_version}.{sha256(canonical_json([stage.shaped_by(config), upstream]))[:12]}"
        )
    return versions
