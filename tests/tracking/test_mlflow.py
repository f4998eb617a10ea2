"""Runs in MLflow's own server: a whole project, a training that is begun twice, a server that is away or dies."""

import socket

import dagster as dg
import pytest

from distill_dagster.assets.tracked import SHORT, tracked
from distill_dagster.config import MlflowTrackingConfig
from distill_dagster.config.reading import check_config, load_config
from distill_dagster.errors import ModelError
from distill_dagster.lineage.project import Project
from distill_dagster.progress import report_point
from distill_dagster.release.publish.specs import PublishCounts, PublishedPlace, PublishResult
from distill_dagster.report.document import read_document
from distill_dagster.report.specs import ReportResult
from distill_dagster.store import files
from distill_dagster.store.artefacts import Store
from distill_dagster.store.result import Counts, Result
from distill_dagster.tracking import Subject, TrackedRun
from distill_dagster.training.record import ValidationLoss
from distill_dagster.training.specs import TrainResult
from testing.dev_server import run_command
from testing.mlflow_server import MlflowServer
from testing.projects import tiny_settings, write_project
from testing.waiting import wait_for

pytestmark = [pytest.mark.processes, pytest.mark.xdist_group("mlflow"), pytest.mark.timeout(1800)]


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with MlflowServer(tmp_path_factory.mktemp("mlflow")) as value:
        yield value


@pytest.fixture(scope="module")
def client(server):
    from mlflow import MlflowClient

    return MlflowClient(server.url, server.url)


@pytest.fixture
def nowhere() -> str:
    """A URL at which nobody listens."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{free.getsockname()[1]}"


def runs_of(client, experiment: str) -> list:
    found = client.get_experiment_by_name(experiment)
    return client.search_runs([found.experiment_id]) if found else []


def begun(uri: str, experiment: str, said: list[str]) -> TrackedRun:
    place = MlflowTrackingConfig(uri=uri, experiment=experiment)
    return TrackedRun(
        place, experiment, Subject("a run", {"distill.fingerprint": "f1"}, {"distill.stage": "s"}), said.append
    )


def test_a_project_is_tracked_from_the_first_loss_to_the_scores(tmp_path, server, client):
    path = write_project(tmp_path, tracking={"mlflow": {"uri": server.url}}, name="tracked")
    said = run_command("run", "--config", path, "--until", "eval_report")
    assert said.exit_code in (0, 3), said.output
    project = Project(load_config(path))
    student, report = project.store.get("student_checkpoint"), project.store.get("eval_report")
    found = {run.data.tags["distill.stage"]: run for run in runs_of(client, "tracked")}
    assert set(found) == {"teacher_model", "student_checkpoint"}
    run = found["student_checkpoint"]
    assert run.info.status == "FINISHED"
    _has_the_losses(client, run, student.read(TrainResult))
    assert run.data.params["student.training.epochs"] == "6.0"
    assert run.data.params["task"] == "qa"
    assert run.data.metrics["train_rows"] == student.counts["train_rows"]
    assert run.data.tags["distill.student"] == student.data_version[:SHORT]
    assert run.data.tags["distill.version"] == student.version
    assert run.data.tags["distill.version.report"] == report.version
    assert run.data.tags["distill/invocation"] == "distill-dagster run"
    document = read_document(report.file(files.REPORT_FILE))
    measured = document.benchmarks["student"]
    names = ("student/score", "student/score_low", "student/score_high")
    assert [run.data.metrics[name] for name in names] == pytest.approx([measured.score, *measured.interval])
    assert run.data.tags["distill.verdict"] == document.verdict.verdict


def _has_the_losses(client, run, result) -> None:
    """The validation losses of the manifest are in the curve of the run, at their steps."""
    sent = {point.step: point.value for point in client.get_metric_history(run.info.run_id, "validation_loss")}
    expected = {point.step: point.validation_loss for point in result.history if isinstance(point, ValidationLoss)}
    assert expected
    assert sent == pytest.approx(expected, rel=1e-3)
    assert len(client.get_metric_history(run.info.run_id, "loss")) > 1


def test_a_training_goes_on_in_its_run_until_that_has_ended(server, client):
    said: list[str] = []
    for step in (1, 2):
        run = begun(server.url, "goes-on", said)
        run.parameters({"epochs": str(step)})
        run.point({"step": step, "loss": 1 / step})
        assert run.close() is None
    (only,) = runs_of(client, "goes-on")
    assert [point.step for point in client.get_metric_history(only.info.run_id, "loss")] == [1, 2]
    assert only.data.params == {"epochs": "1"}
    run = begun(server.url, "goes-on", said)
    run.end("FINISHED")
    assert run.close() is None
    assert begun(server.url, "goes-on", said).close() is None
    assert len(runs_of(client, "goes-on")) == 2
    assert said == []


def test_many_settings_are_sent_in_parts(server, client):
    run = begun(server.url, "many", [])
    run.parameters({f"setting.{n}": "x" * 500 for n in range(250)})
    assert run.close() is None
    (only,) = runs_of(client, "many")
    assert len(only.data.params) == 250


def test_a_server_that_dies_is_named_with_what_it_did_not_get(tmp_path):
    from mlflow import MlflowClient

    said: list[str] = []
    with MlflowServer(tmp_path) as own:
        run, client = begun(own.url, "dies", said), MlflowClient(own.url, own.url)
        run.point({"step": 1, "loss": 1.0})
        wait_for(lambda: any("loss" in found.data.metrics for found in runs_of(client, "dies")), "the first point")
    for step in range(2, 6):
        run.point({"step": step, "loss": 1.0})
    unsent = run.close()
    assert unsent.kinds == {"points": 4}
    assert str(unsent).startswith("4 points not sent (")


def made_with(uri: str, instance, act, name: str = "steps") -> list[str]:
    """The warnings of a step that tracks there, and does `act(step)`."""
    config = check_config(tiny_settings(tracking={"mlflow": {"uri": uri}}, name=name), "a test")

    @dg.asset
    def trained(context: dg.AssetExecutionContext) -> None:
        with tracked(context, config, "student_checkpoint", "f2", is_one_job=True) as step:
            act(step)

    result = dg.materialize([trained], instance=instance)
    assert result.success
    return [entry.user_message for entry in instance.all_logs(result.run_id) if entry.level == 30]


def test_a_step_goes_on_without_its_server_and_says_what_was_not_sent(nowhere, instance):
    def train(_) -> None:
        for step in range(3):
            report_point({"step": step, "loss": 1.0})

    first, last = made_with(nowhere, instance, train)
    assert first.startswith("MLflow cannot be told of student_checkpoint, which goes on: ")
    assert nowhere in first
    assert "1 parameters, 3 points not sent (" in last
    assert last.endswith("the store holds all of it")


def test_a_published_student_has_a_link_in_its_run(server, client, instance):
    student = "5" * 64
    url = "http://mlflow/#/models/m/versions/3"
    where = {"kind": "mlflow", "place": "m", "revision": "3", "url": url}
    place = PublishedPlace(**where, state="published", release="r1", uploaded=1)
    counts = PublishCounts(places=1, files=1, uploaded=1)
    result = PublishResult(data_version="d", counts=counts, student=student, release="r1", places=[place])
    assert made_with(server.url, instance, lambda step: step.made(None, result)) == []
    (run,) = [found for found in runs_of(client, "steps") if found.data.tags.get("distill.student") == student[:SHORT]]
    assert run.data.tags["distill.registered_model"] == place.url


def test_a_step_that_sends_nothing_begins_no_run(server, client, instance):
    before = len(runs_of(client, "steps"))
    assert made_with(server.url, instance, lambda step: None) == []
    assert len(runs_of(client, "steps")) == before


def test_a_training_that_a_user_s_mistake_ends_has_failed_there_too(server, client, instance):
    def train(_) -> None:
        report_point({"step": 1, "loss": 1.0})
        raise ModelError("the base has no chat template")

    with pytest.raises(ModelError):
        made_with(server.url, instance, train, name="fails")
    (run,) = runs_of(client, "fails")
    assert run.info.status == "FAILED"
    assert "loss" in run.data.metrics


def test_a_published_report_that_cannot_be_read_back_fails_no_step(nowhere, instance, tmp_path):
    def make(out, work):
        (out / files.REPORT_FILE).write_text("[]")
        return Result(data_version="d", counts=Counts())

    manifest = Store(tmp_path).publish("eval_report", None, fingerprint="f", inputs={}, make=make)
    (warning,) = made_with(nowhere, instance, lambda step: step.made(manifest, ReportResult.model_construct()))
    assert warning.startswith("MLflow cannot be told of student_checkpoint, which goes on: ")
    assert files.REPORT_FILE in warning
