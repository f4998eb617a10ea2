"""Lists what a run would make, and why: every artefact in the order of the lineage.

raw_dataset[train-part-03]       stale    source
teacher_outputs[train-part-03]   stale    raw_dataset is made again
eval_dataset                     fresh
"""

from dataclasses import dataclass
from typing import Literal

from distill_dagster.errors import NotPublishedError
from distill_dagster.lineage.freshness import fingerprint, inputs_of
from distill_dagster.lineage.snapshot import Snapshot
from distill_dagster.lineage.stages import STAGES, follows, stages_of
from distill_dagster.sources.files.versions import UnreadableError
from distill_dagster.store.manifest import title_of

NEVER = ("never made",)


@dataclass(frozen=True, slots=True)
class Step:
    """An artefact, and what a run would do to it."""

    asset: str
    shard: str | None
    state: Literal["fresh", "stale", "missing"]
    why: tuple[str, ...] = ()
    waits: bool = False  # something that it reads is made first

    @property
    def is_fresh(self) -> bool:
        """Whether a run would leave it alone."""
        return self.state == "fresh"

    @property
    def title(self) -> str:
        """The artefact's name for people."""
        return title_of(self.asset, self.shard)


def list_steps(look: Snapshot) -> list[Step]:
    """Every artefact in the order of the lineage, with its state and the reason for it.

    Raises:
        DataError: a pattern of the config matches no file.
    """
    look.read_sources()
    steps, behind = [], set[tuple[str, str | None]]()  # with None: any shard of it
    for stage in stages_of(look.config):
        made = [_step(look, stage.name, shard, behind) for shard in (look.shards if stage.sharded else [None])]
        behind |= {(stage.name, key) for step in made if not step.is_fresh for key in (step.shard, None)}
        steps += made
    return steps


def _step(look: Snapshot, name: str, shard: str | None, behind: set[tuple[str, str | None]]) -> Step:
    """Compare the inputs of an artefact with the present ones. An input that is made again first counts as changed."""
    manifest = look.find(name, shard)
    state = "missing" if manifest is None else "stale"
    try:
        inputs = inputs_of(look, name, shard)
    except NotPublishedError as e:
        return Step(name, shard, state, NEVER if manifest is None else (e.title,), waits=True)
    except UnreadableError as e:
        return Step(name, shard, state, (str(e),))
    followed = (name for name in follows(STAGES[name], look.config) if name in STAGES)
    upstream = sorted(read for read in followed if (read, shard if STAGES[read].sharded else None) in behind)
    if manifest is None:
        return Step(name, shard, state, NEVER, bool(upstream))
    if manifest.is_made_from(fingerprint(inputs)) and not upstream:
        return Step(name, shard, "fresh")
    changed = [key for key in {**inputs, **manifest.inputs} if inputs.get(key) != manifest.inputs.get(key)]
    if not manifest.complete:
        changed.append("requests that failed are sent again")
    return Step(name, shard, state, tuple(changed or [f"{read} is made again" for read in upstream]), bool(upstream))
