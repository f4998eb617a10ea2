"""Materialize what is stale, through Dagster, in this process: what `distill-dagster run` does.

The same assets, checks and instance as in the UI, without a daemon. Stages go in the order of the lineage. What
fails holds back what is made from it, and nothing else:

    raw_dataset[a]       failed     raw_dataset[b]       made
    teacher_outputs[a]   held       teacher_outputs[b]   made
    validated_synthetic_set, student_checkpoint, … held; student_base made
"""

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import dagster as dg

from distill_dagster.lineage.stages import STAGES, Project, Stage, follows, is_fresh, stages_of, title_of
from distill_dagster.operations.observing import observe
from distill_dagster.operations.run_failures import explain_step
from distill_dagster.store.hashing import canonical_json, sha256

QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}
GATES_TAG = "distill/gates"  # a run under other thresholds says nothing about the present ones


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

    `lineage` holds the project's assets and checks, as definitions.py builds them.
    """

    def __init__(
        self, project: Project, lineage: dg.Definitions, instance: dg.DagsterInstance, say: Callable[[str, str], None]
    ) -> None:
        self.project, self.instance, self.say = project, instance, say
        self.job = lineage.resolve_implicit_global_asset_job_def()
        self.outcome = Outcome()
        self.gates = sha256(canonical_json(project.config.checks.model_dump()))[:16]

    def run(self, until: str | None = None) -> Outcome:
        """Bring every asset up to date, or those up to `until`, but for what is made from something that failed."""
        started = time.perf_counter()
        logging.getLogger("dagster").setLevel(logging.CRITICAL)
        observe(self.instance, self.project)
        for stage in stages_of(self.project.config):
            for shard in sorted(self.project.sources()) if stage.sharded else [None]:
                if self._is_held(stage, shard):
                    self.outcome.held.append(title_of(stage.name, shard))
                    self.say(title_of(stage.name, shard), "held")
                else:
                    self._bring_up_to_date(stage.name, shard)
            if stage.name == until:
                break
        self.outcome.seconds = round(time.perf_counter() - started, 1)
        return self.outcome

    def _is_held(self, stage: Stage, shard: str | None) -> bool:
        """Whether something that it is made from failed or was held; of shards its own, or any if it has none.

        A teacher behind an endpoint that failed at the rows is not paid for the held-out ones either.
        """
        config, failed = self.project.config, self.outcome.failed
        is_paid = stage.name == "teacher_benchmark" and config.teacher.model is None
        unwell = is_paid and any(name in failed for name in self._artefacts("teacher_outputs", None))
        not_made = {*failed, *self.outcome.held}
        read = (name for asset in follows(stage, config) for name in self._artefacts(asset, shard))
        return unwell or any(name in not_made for name in read)

    def _artefacts(self, asset: str, shard: str | None) -> list[str]:
        """What a reader of a shard (None: of no shard) reads of an asset."""
        if not STAGES[asset].sharded:
            return [asset]
        return [title_of(asset, key) for key in ([shard] if shard else self.project.sources())]

    def _bring_up_to_date(self, name: str, shard: str | None) -> None:
        title = title_of(name, shard)
        if is_fresh(self.project, name, shard) and self._is_settled(name, shard):
            self.outcome.skipped.append(title)
            self.say(title, "fresh")
            return
        self.say(title, "started")
        before = self._published(name, shard)
        error = self._materialize(name, shard)
        is_new = self._published(name, shard) != before
        if error:
            self.outcome.failed[title] = error
        else:
            (self.outcome.materialized if is_new else self.outcome.skipped).append(title)
        self.say(title, "failed" if error else "made" if is_new else "fresh")

    def _published(self, name: str, shard: str | None) -> str | None:
        """The version that is published now; a shard of the same inputs is made again where requests had failed."""
        manifest = self.project.store.find(name, shard)
        return manifest.version if manifest else None

    def _is_settled(self, name: str, shard: str | None) -> bool:
        """Whether the instance knows the published artefact from a run whose blocking checks passed, gates as now."""
        records = self.instance.fetch_materializations(
            dg.AssetRecordsFilter(asset_key=dg.AssetKey(name), asset_partitions=[shard] if shard else None), limit=1
        ).records
        if not records or not records[0].asset_materialization:
            return False
        version = (records[0].asset_materialization.tags or {}).get("dagster/data_version")
        run = self.instance.get_run_by_id(records[0].run_id)
        passed = run is not None and run.is_success and run.tags.get(GATES_TAG) == self.gates
        return passed and version == self.project.version_of(name, shard)

    def _materialize(self, name: str, shard: str | None) -> str | None:
        """Run one asset (one shard of it) with its checks; returns what went wrong, or None."""
        result = self.job.execute_in_process(
            instance=self.instance,
            asset_selection=[dg.AssetKey(name)],
            partition_key=shard,
            raise_on_error=False,
            run_config=QUIET,
            tags={GATES_TAG: self.gates},
        )
        if any(event.is_step_failure and _is_interrupt(event) for event in result.all_events):
            raise KeyboardInterrupt
        for found in result.get_asset_check_evaluations():
            if not found.passed and not (found.blocking and found.severity == dg.AssetCheckSeverity.ERROR):
                self.outcome.warnings[f"{found.check_name} on {title_of(name, shard)}"] = found.description or ""
        return None if result.success else explain_failure(result)


def _is_interrupt(event: dg.DagsterEvent) -> bool:
    """Whether the step was ended by Ctrl-C, which Dagster reports as an error of the step."""
    error = event.step_failure_data.error
    return error is not None and error.cls_name == "DagsterExecutionInterruptedError"


def explain_failure(result: dg.ExecuteInProcessResult) -> str:
    """What went wrong in a run, in the words of the check or of the error that ended it."""
    for evaluation in result.get_asset_check_evaluations():
        if not evaluation.passed and evaluation.blocking:
            return f"check {evaluation.check_name}: {evaluation.description}"
    for event in result.all_events:
        if event.is_step_failure:
            return explain_step(event)
    return "the run failed; its log is in the Dagster UI"
