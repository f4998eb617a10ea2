"""Materializes what is stale, through Dagster, in this process, for `distill-dagster run`.

It uses the same assets, checks and instance as the UI, without a daemon, and takes the stages in the order of the
lineage. A failure holds back what is made from the failed artefact, and nothing else:

    raw_dataset[a]       failed     raw_dataset[b]       made
    teacher_outputs[a]   held       teacher_outputs[b]   made
    validated_synthetic_set, student_checkpoint, … held; student_base made

After an error that every request to the endpoint would meet (no connection, a refused key, no money left), nothing else
that asks an endpoint is made.
"""

import logging
import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import dagster as dg

from distill_dagster import telemetry
from distill_dagster.assets.failures import explain_failure, met_the_endpoint, was_interrupted
from distill_dagster.assets.naming import Names
from distill_dagster.assets.run_tags import INVOCATION
from distill_dagster.errors import UserError
from distill_dagster.lineage.endpoints import asks_endpoint
from distill_dagster.lineage.freshness import is_fresh
from distill_dagster.lineage.snapshot import Snapshot, changes_since, shared
from distill_dagster.lineage.stages import STAGES, Stage, follows, stages_of
from distill_dagster.operations.observing import observe
from distill_dagster.operations.settled import GATES_TAG, Settled, gates_of
from distill_dagster.store.manifest import title_of

VERDICT_FAILED = "check verdict_is_pass: "  # how explain_failure begins if the report was made, and its verdict is FAIL
Say = Callable[[str, str, str], None]  # title, state (started, made, fresh, failed, held), and why, or ""
QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}


@dataclass(slots=True)
class Outcome:
    """What a run did: names like `teacher_outputs[train-part-03]`."""

    materialized: list[str] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)  # name -> what went wrong
    warnings: dict[str, str] = field(default_factory=dict)  # "check on name" -> what it found; holds up nothing
    held: list[str] = field(default_factory=list)  # not made: something that it is made from failed or was held
    seconds: float = 0.0


class Runner:
    """One walk through the lineage of a project, on a Dagster instance.

    `lineage` holds the project's assets and checks, as definitions.py builds them. The walk covers the source files of
    `look`; a file that is added later belongs to the next run.
    """

    def __init__(
        self,
        look: Snapshot,
        lineage: dg.Definitions,
        instance: dg.DagsterInstance,
        say: Say,
        invocation: str = "distill-dagster run",
    ) -> None:
        self.look, self.instance, self.say, self.invocation = look, instance, say, invocation
        self.names = Names.of(look.config)
        self.job = lineage.resolve_implicit_global_asset_job_def()
        self.outcome = Outcome()
        self._settled = Settled(instance, look.config)
        self._not_made: dict[tuple[str, str | None], str] = {}  # -> what failed first; with None: any shard of it
        self._stopped_by: str | None = None  # the step after which no endpoint is asked any more

    def run(self, until: str | None = None) -> Outcome:
        """Bring every asset up to date, or those up to `until`, except what is made from something that failed."""
        started = time.perf_counter()
        logging.getLogger("dagster").setLevel(logging.CRITICAL)
        observe(self.instance, self.look)
        own = {"distill.invocation": self.invocation}
        with (
            telemetry.inside(telemetry.Whereabouts(self.look.config.name)),
            telemetry.span("run", own),
            shared(self.look),
        ):
            for stage in stages_of(self.look.config):
                for shard in self.look.shards if stage.sharded else [None]:
                    with telemetry.inside(telemetry.Whereabouts(self.look.config.name, None, stage.name, shard)):
                        self._visit(stage, shard)
                if stage.name == until:
                    break
        self._note_changed_sources()
        self.outcome.seconds = round(time.perf_counter() - started, 1)
        return self.outcome

    def _note_changed_sources(self) -> None:
        """Warn of source files that came, went or changed since the walk began."""
        try:
            changed = changes_since(self.look)
        except UserError:  # such as a pattern that matches no file any more: the next run says so
            return
        if changed:
            self.outcome.warnings["source files"] = (
                f"{'; '.join(changed)}; this happened during the run, which goes by the files at its start: the next "
                "run takes it up"
            )

    def _visit(self, stage: Stage, shard: str | None) -> None:
        title = title_of(stage.name, shard)
        if self._is_settled(stage.name, shard):
            self.outcome.skipped.append(title)
            self.say(title, "fresh", "")
        elif cause := self._held_by(stage, shard):
            self.outcome.held.append(title)
            self._give_up(stage.name, shard, cause)
            self.say(title, "held", f"{cause} failed")
        else:
            self._bring_up_to_date(stage.name, shard)

    def _is_settled(self, name: str, shard: str | None) -> bool:
        """Whether there is nothing to do: nothing that it is made from failed, and it is up to date."""
        if self._failed_upstream(STAGES[name], shard):
            return False
        return is_fresh(self.look, name, shard) and self._settled.knows(self.look.get(name, shard))

    def _held_by(self, stage: Stage, shard: str | None) -> str | None:
        """The step that failed and holds this one back; None if it can be made.

        If a teacher behind an endpoint failed on the training rows, it is not paid for the held-out rows either.
        """
        if self._stopped_by and asks_endpoint(stage.name, self.look.config):
            return self._stopped_by
        is_paid = stage.name in ("teacher_benchmark", "speed_benchmark") and self.look.config.teacher.model is None
        answers = next((title for title in self.outcome.failed if title.startswith("teacher_outputs[")), None)
        return (answers if is_paid else None) or self._failed_upstream(stage, shard)

    def _failed_upstream(self, stage: Stage, shard: str | None) -> str | None:
        """What failed of what it is made from: of its own shard, or of any shard if it has none."""
        read = follows(stage, self.look.config)
        own = ((name, shard if name in STAGES and STAGES[name].sharded else None) for name in read)
        return next((self._not_made[artefact] for artefact in own if artefact in self._not_made), None)

    def _give_up(self, name: str, shard: str | None, cause: str) -> None:
        for artefact in ((name, shard), (name, None)):
            self._not_made.setdefault(artefact, cause)

    def _bring_up_to_date(self, name: str, shard: str | None) -> None:
        title = title_of(name, shard)
        self.say(title, "started", "")
        before = self._published(name, shard)
        error = self._materialize(name, shard)
        self.look.forget(name, shard)
        is_new = self._published(name, shard) != before
        if error:
            error = self.outcome.failed[title] = self._explained(error, name, shard)
            self._give_up(name, shard, title)
        else:
            (self.outcome.materialized if is_new else self.outcome.skipped).append(title)
        if error and error.startswith(VERDICT_FAILED) and is_fresh(self.look, name):
            self.say(f"{title}: verdict FAIL", "made" if is_new else "fresh", "")
        else:
            self.say(title, "failed" if error else "made" if is_new else "fresh", error or "")

    def _explained(self, error: str, name: str, shard: str | None) -> str:
        """The error, and that the source file is gone if it was removed during the run."""
        url = self.look.sources[shard].url if name == "raw_dataset" and shard in self.look.sources else None
        if url is None or "://" in url or os.path.lexists(url):
            return error
        return f"{url} was removed during the run: run again, and the run goes on without it"

    def _published(self, name: str, shard: str | None) -> str | None:
        """The version that is published now. A shard with failed requests gets a new one from the same inputs."""
        manifest = self.look.find(name, shard)
        return manifest.version if manifest else None

    def _materialize(self, name: str, shard: str | None) -> str | None:
        """Run one asset (one shard of it) with its checks; returns what went wrong, or None."""
        result = self.job.execute_in_process(
            instance=self.instance,
            asset_selection=[self.names.key(name)],
            partition_key=shard,
            raise_on_error=False,
            run_config=QUIET,
            tags={GATES_TAG: gates_of(self.look.config), INVOCATION: self.invocation},
        )
        if was_interrupted(result):
            raise KeyboardInterrupt
        for found in result.get_asset_check_evaluations():
            if not found.passed and not (found.blocking and found.severity == dg.AssetCheckSeverity.ERROR):
                self.outcome.warnings[f"{found.check_name} on {title_of(name, shard)}"] = found.description or ""
        if met_the_endpoint(result):
            self._stopped_by = title_of(name, shard)
        return None if result.success else explain_failure(result)
