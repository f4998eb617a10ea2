"""A run of MLflow for one student, from the first loss to the link to the registered model.

Tags find it again: by `distill.fingerprint` while it trains, so that a training that was killed goes on in the run that
it began, and by `distill.student` afterwards, so that the report's scores come beside the losses of the student that
they are about.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from distill_dagster.config import MlflowTrackingConfig
from distill_dagster.release.publish.messages import first_line
from distill_dagster.release.publish.mlflow_client import client_of, require_answer, secrets_here
from distill_dagster.tracking.numbers import numbers_of
from distill_dagster.tracking.outbox import Outbox, Unsent, now_ms

if TYPE_CHECKING:
    from mlflow import MlflowClient

STUDENT, FINGERPRINT, STAGE = "distill.student", "distill.fingerprint", "distill.stage"
AT_ONCE = 100  # parameters, metrics and tags of one request: MLflow's limit
CLOSE_S = 15.0
Ending = Literal["FINISHED", "FAILED"]


@dataclass(frozen=True, slots=True)
class Subject:
    """What a run is about: `find` are the tags by which it is found, `tags` the others that it gets."""

    name: str
    find: dict[str, str]
    tags: dict[str, str]
    goes_on: bool = True  # only a run that has not ended is the same


class TrackedRun:
    """The run. Nothing here waits for the server, or raises; `close` says what was lost."""

    def __init__(
        self, place: MlflowTrackingConfig, experiment: str, subject: Subject, say: Callable[[str], None]
    ) -> None:
        self._place, self._experiment, self._subject = place, experiment, subject
        self._client: MlflowClient | None = None
        self._id, self._is_new = "", True
        self.points = 0
        self._outbox = Outbox(self._open, self._describe, lambda why: say(f"{place.uri}: {why}"))

    def point(self, point: Mapping[str, float]) -> None:
        """Send the numbers of one step."""
        self.points += 1
        step, at = int(point.get("step", 0)), now_ms()
        self._put("points", metrics=[(name, value, at, step) for name, value in numbers_of(point).items()])

    def metrics(self, kind: str, values: Mapping[str, float], step: int = 0) -> None:
        """Send numbers."""
        self._put(kind, metrics=[(name, value, now_ms(), step) for name, value in values.items()])

    def parameters(self, values: Mapping[str, str]) -> None:
        """Send settings. MLflow keeps the first value of each: those of a run that goes on are not sent twice."""
        self._outbox.put("parameters", lambda: self._send({"params": list(values.items()) if self._is_new else []}))

    def tags(self, values: Mapping[str, str]) -> None:
        """Set tags."""
        self._put("tags", tags=list(values.items()))

    def end(self, ending: Ending) -> None:
        """Mark the run as ended."""
        self._outbox.put("the end", lambda: self._ready().set_terminated(self._id, ending))

    def close(self) -> Unsent | None:
        """What could not be sent within `CLOSE_S`."""
        return self._outbox.close(CLOSE_S)

    def _ready(self) -> "MlflowClient":
        assert self._client is not None, "the outbox connects first"
        return self._client

    def _put(self, kind: str, **entries: Sequence[tuple[Any, ...]]) -> None:
        """Send entries of one sort, as many requests as they take; they count as one thing if they are lost."""
        if any(entries.values()):
            self._outbox.put(kind, lambda: self._send(entries))

    def _send(self, entries: Mapping[str, Sequence[tuple[Any, ...]]]) -> None:
        from mlflow.entities import Metric, Param, RunTag

        kinds: dict[str, Callable[..., Any]] = {"metrics": Metric, "params": Param, "tags": RunTag}
        for name, values in entries.items():
            made = [kinds[name](*value) for value in values]
            for start in range(0, len(made), AT_ONCE):
                batch: dict[str, Any] = {name: made[start : start + AT_ONCE]}
                self._ready().log_batch(self._id, **batch)

    def _open(self) -> None:
        """Find the run, or begin it."""
        client = client_of(self._place.uri)
        require_answer(self._place.uri)
        found = client.get_experiment_by_name(self._experiment)
        experiment = found.experiment_id if found else client.create_experiment(self._experiment)
        found_run = self._found(client, experiment)
        self._is_new = found_run is None
        self._id = found_run or self._begun(client, experiment)
        self._client = client

    def _found(self, client: "MlflowClient", experiment: str) -> str | None:
        wanted = " and ".join(f"tags.`{name}` = '{value}'" for name, value in self._subject.find.items())
        status = " and attributes.status = 'RUNNING'" if self._subject.goes_on else ""
        runs = client.search_runs([experiment], wanted + status, max_results=1)
        return runs[0].info.run_id if runs else None

    def _begun(self, client: "MlflowClient", experiment: str) -> str:
        tags = {**self._subject.tags, **self._subject.find}
        return client.create_run(experiment, tags=tags, run_name=self._subject.name).info.run_id

    def _describe(self, error: Exception) -> str:
        return f"{type(error).__name__}: {first_line(error, secrets_here())}"
