"""What an experiment tracker gets of a step: a training's points as they come, and what its result says at the end."""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import dagster as dg

from distill_dagster.assets.run_tags import INVOCATION, started
from distill_dagster.config import DistillConfig, MlflowTrackingConfig
from distill_dagster.errors import UserError
from distill_dagster.progress import Point, listen_to_points
from distill_dagster.release.publish.specs import PublishResult
from distill_dagster.report.document import read_document
from distill_dagster.report.specs import ReportResult
from distill_dagster.store import files
from distill_dagster.store.manifest import Manifest
from distill_dagster.store.result import Result
from distill_dagster.tracking import Subject, TrackedRun
from distill_dagster.tracking.mlflow_run import FINGERPRINT, STAGE, STUDENT
from distill_dagster.tracking.numbers import curve, parameters, scores
from distill_dagster.training.record import TrainingRun
from distill_dagster.training.specs import PrepareResult, TrainResult

SHORT = 16  # characters of a data version, as the report shows it


@dataclass(slots=True)
class TrackedStep:
    """A step of a project that tracks; the run in the tracker begins with the first number."""

    context: dg.AssetExecutionContext
    config: DistillConfig
    place: MlflowTrackingConfig
    stage: str
    fingerprint: str
    run: TrackedRun | None = None

    def point(self, point: Point) -> None:
        """Send a point of a training."""
        self._training().point(point)

    def made(self, manifest: Manifest, result: Result[Any]) -> None:
        """Send what is known now that the artefact is published; what cannot be read of it is a warning alone."""
        try:
            self._made(manifest, result)
        except UserError as e:
            self._warn(str(e))

    def failed(self) -> None:
        """Mark the run of a training as failed, if it has begun."""
        if self.run:
            self.run.end("FAILED")

    def _made(self, manifest: Manifest, result: Result[Any]) -> None:
        if isinstance(result, TrainResult):
            self._trained(manifest, result)
        elif isinstance(result, PrepareResult) and result.fit:
            self._trained(manifest, result.fit)
        elif isinstance(result, ReportResult):
            self._reported(manifest)
        elif isinstance(result, PublishResult) and result.student:
            self._published(result, result.student)

    def close(self) -> None:
        """Say in the step's log what could not be sent."""
        if self.run and (unsent := self.run.close()):
            self.context.log.warning(f"MLflow at {self.place.uri}: {unsent}; the store holds all of it")

    def _trained(self, manifest: Manifest, training: TrainingRun) -> None:
        """A student, or a teacher that was fitted. One that a sweep or a round trained has sent no points."""
        run = self._training()
        if not run.points:
            for point in curve(training.history):
                run.point(point)
        run.metrics("counts", {name: float(count) for name, count in manifest.counts.items()})
        run.metrics("counts", {"steps": training.steps, "seconds": training.seconds})
        run.tags({STUDENT: manifest.data_version[:SHORT], **self._artefact(manifest)})
        run.end("FINISHED")

    def _reported(self, manifest: Manifest) -> None:
        """The scores, in the run of the student that they are about."""
        report = read_document(manifest.file(files.REPORT_FILE))
        run = self._of_student(report.lineage.student_checkpoint.data_version[:SHORT])
        run.metrics("scores", scores(report))
        run.tags({"distill.verdict": report.verdict.verdict, "distill.headline": report.headline})
        run.tags({f"{name}.report": value for name, value in self._artefact(manifest).items()})
        run.end("FINISHED")

    def _published(self, result: PublishResult, student: str) -> None:
        """A link to the registered model, in the run of its student."""
        for place in result.places:
            if place.kind == "mlflow":
                run = self._of_student(student[:SHORT])
                run.tags({"distill.registered_model": place.url, "distill.release": place.release})
                run.end("FINISHED")

    def _training(self) -> TrackedRun:
        if self.run is None:
            self.run = self._begin({FINGERPRINT: self.fingerprint, STAGE: self.stage}, goes_on=True)
            self.run.parameters(parameters(self.config.model_dump(mode="json")))
        return self.run

    def _of_student(self, student: str) -> TrackedRun:
        self.run = self._begin({STUDENT: student}, goes_on=False)
        return self.run

    def _begin(self, find: dict[str, str], *, goes_on: bool) -> TrackedRun:
        run = self.context.run
        tags = {
            "distill.project": self.config.name,
            STAGE: self.stage,
            "distill.dagster_run": run.run_id,
            "distill.dagster_url": f"{self.config.alerts.ui_url}/runs/{run.run_id}",
            INVOCATION: started(run.tags),
        }
        subject = Subject(f"{self.config.name} {self.stage}", find, tags, goes_on)
        experiment = self.place.experiment or self.config.name
        return TrackedRun(self.place, experiment, subject, self._warn)

    def _artefact(self, manifest: Manifest) -> dict[str, str]:
        """Which artefact it is, and where."""
        return {"distill.version": manifest.version, "distill.uri": manifest.uri}

    def _warn(self, why: str) -> None:
        self.context.log.warning(f"MLflow cannot be told of {self.stage}, which goes on: {why}")


@contextlib.contextmanager
def tracked(
    context: dg.AssetExecutionContext, config: DistillConfig, stage: str, fingerprint: str, *, is_one_job: bool
) -> Iterator[TrackedStep | None]:
    """The work of a step; None if the project does not track. The trainings of a sweep are many, and not tracked."""
    if config.tracking is None:
        yield None
        return
    step = TrackedStep(context, config, config.tracking.mlflow, stage, fingerprint)
    with listen_to_points(step.point) if is_one_job else contextlib.nullcontext():
        try:
            yield step
        except UserError:  # no retry follows; after any other error, the training goes on in its run
            step.failed()
            raise
        finally:
            step.close()
