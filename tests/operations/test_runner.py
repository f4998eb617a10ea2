"""A run that meets a fault of the endpoint: what it says, what it still makes, and what `status` tells afterwards."""

import dagster as dg
import pytest

from distill_dagster.cli.console import err, say_step
from distill_dagster.cli.status import read_status
from distill_dagster.config.reading import load_config
from distill_dagster.definitions import build_definitions, build_lineage
from distill_dagster.lineage.project import Project
from distill_dagster.lineage.snapshot import Snapshot
from distill_dagster.operations.failed_steps import failed_steps
from distill_dagster.operations.runner import Runner
from distill_dagster.planning.steps import list_steps
from distill_dagster.teachers.sending import forget_endpoints
from testing.api_project import write_api_project
from testing.dev_server import free_port
from testing.projects import run_project

pytestmark = pytest.mark.slow

OTHERS = ["teacher_outputs[train-part-01]", "teacher_outputs[train-part-02]", "teacher_outputs[validation]"]


@pytest.fixture(autouse=True)
def first_requests():
    forget_endpoints()
    yield
    forget_endpoints()


def run_and_listen(path, instance) -> tuple[Runner, dict[str, tuple[str, str]]]:
    """The runner, and the last that it said of each step: state and reason."""
    config, last = load_config(path), {}

    def say(title: str, state: str, why: str) -> None:
        last[title] = state, why

    runner = Runner(Snapshot(Project(config)), build_lineage(config), instance, say)
    runner.run("teacher_benchmark")  # no row has a gold answer to measure the others by
    return runner, last


@pytest.mark.parametrize(
    ("endpoint", "rule", "words", "asked"),
    [
        ({}, {"fault": "status", "status": 401}, "answered 401", 1),
        ({}, {"fault": "status", "status": 402}, "answered 402", 1),
        ({"url": f"http://127.0.0.1:{free_port()}/v1"}, {}, "connection refused", 0),
    ],
)
def test_after_a_fault_of_the_endpoint_nothing_else_is_asked(tmp_path, server, instance, endpoint, rule, words, asked):
    server.script(rules=[rule] if rule else [])
    runner, last = run_and_listen(write_api_project(tmp_path, server, endpoint=endpoint), instance)
    failed = "teacher_outputs[train-part-00]"
    assert list(runner.outcome.failed) == [failed]
    assert last[failed][0] == "failed"
    assert words in last[failed][1]
    assert {title: last[title] for title in OTHERS} == dict.fromkeys(OTHERS, ("held", f"{failed} failed"))
    assert last["student_base"] == ("made", ""), "it asks nobody"
    assert server.counts()["total"] == asked


def test_a_spent_budget_stops_the_run_too(tmp_path, server, instance):
    price = {"price": {"completion": 1_000_000.0}}
    path = write_api_project(tmp_path, server, endpoint=price, teacher={"budget_usd": 1})
    runner, last = run_and_listen(path, instance)
    assert [last[title][0] for title in OTHERS] == ["held"] * 3
    assert "budget_usd" in runner.outcome.failed["teacher_outputs[train-part-00]"]


def test_a_fault_of_one_shard_stops_no_other(tmp_path, server, instance):
    server.script(rules=[{"match": f"<{n}>", "fault": "status", "status": 400} for n in range(12)])
    path = write_api_project(tmp_path, server, **{"checks.min_success_share": 0.9})
    runner, last = run_and_listen(path, instance)
    assert list(runner.outcome.failed) == ["teacher_outputs[train-part-00]"]
    assert {last[title][0] for title in OTHERS} == {"made"}


def test_what_was_answered_before_is_not_held(tmp_path, server, instance):
    path = write_api_project(tmp_path, server)
    run_project(load_config(path), instance, "teacher_outputs")
    (tmp_path / "data/train/part-00.jsonl").open("a").write('{"messages": [{"role": "user", "content": "one more"}]}\n')
    server.script(rules=[{"fault": "status", "status": 401}])
    _, last = run_and_listen(path, instance)
    assert last["teacher_outputs[train-part-00]"][0] == "failed"
    assert {last[title][0] for title in OTHERS} == {"fresh"}


def test_status_tells_the_last_error_until_the_step_is_made(tmp_path, server, instance):
    server.script(rules=[{"fault": "status", "status": 401}])
    path = write_api_project(tmp_path, server)
    run_and_listen(path, instance)
    found = read_status(Snapshot(Project(load_config(path))), instance)
    (failed,) = found.failed
    assert failed.artefact == "teacher_outputs[train-part-00]"
    assert "answered 401" in failed.error
    assert found.is_failing
    server.script()
    run_project(load_config(path), instance, "teacher_outputs")
    found = read_status(Snapshot(Project(load_config(path))), instance)
    assert found.failed == []
    assert found.is_failing == any(check.severity == "ERROR" for check in found.failing_checks)


def test_a_run_that_was_interrupted_is_no_failed_step(tiny_config, instance):
    def interrupted() -> None:
        raise dg.DagsterExecutionInterruptedError

    job = dg.define_asset_job("one", selection="raw_dataset").resolve(
        asset_graph=dg.Definitions(assets=[raising(interrupted)]).resolve_asset_graph()
    )
    assert not job.execute_in_process(instance=instance, raise_on_error=False).success
    look = Snapshot(Project(tiny_config))
    assert failed_steps(instance, look, list_steps(look)) == []


def raising(what) -> dg.AssetsDefinition:
    @dg.asset(name="raw_dataset")
    def raw_dataset() -> None:
        what()

    return raw_dataset


def test_the_line_of_a_step_holds_the_first_line_of_the_reason():
    with err.capture() as shown:
        say_step("teacher_outputs[a]", "failed", "host answered 401: no\n  check the key")
        say_step("student_base", "made", "")
    assert shown.get().splitlines() == [" failed  teacher_outputs[a]: host answered 401: no", "   made  student_base"]


def test_an_unattended_run_that_cannot_work_makes_nothing(tmp_path, server, instance, monkeypatch):
    monkeypatch.delenv("MADE_KEY", raising=False)
    config = load_config(write_api_project(tmp_path, server, endpoint={"api_key": "MADE_KEY"}))
    job = build_definitions(config).resolve_job_def("redistill_job")
    ended = job.execute_in_process(instance=instance, raise_on_error=False)
    assert not ended.success
    (failure,) = [event for event in ended.all_events if event.is_step_failure]
    assert "MADE_KEY, which is not set" in failure.step_failure_data.user_failure_data.description
    assert Project(config).store.find("eval_dataset") is None
    assert server.counts()["total"] == 0
