"""The alert sensor over executed runs: what it sends for a failed check or run, and when it sends nothing."""

import dagster as dg
import pytest

from distill_dagster.config import DistillConfig
from distill_dagster.config.reading import load_config
from distill_dagster.definitions import build_definitions
from distill_dagster.operations.alerting import LOOK_BACK, RUNS_A_TICK
from distill_dagster.resources.project import ProjectResource
from testing.alert_runs import look_again, poison, run_checks, run_step
from testing.alert_servers import mailbox, webhook
from testing.projects import run_project, write_project

pytestmark = pytest.mark.processes
CHECKS_OF_A_RUN = 3


@pytest.fixture
def poisoned(tmp_path) -> DistillConfig:
    """A tiny project whose shard 1 holds too many bad rows."""
    path = write_project(tmp_path)
    poison(tmp_path)
    return load_config(path)


def test_a_bad_shard_is_told_with_numbers_rows_and_link_to_webhook_and_mail(poisoned, instance, monkeypatch):
    assert list(run_project(poisoned, instance, "raw_dataset").failed) == ["raw_dataset[train-part-01]"]
    run_id = instance.get_runs(dg.RunsFilter(statuses=[dg.DagsterRunStatus.FAILURE]))[0].run_id
    with webhook() as hook, mailbox() as box:
        monkeypatch.setenv("DISTILL_ALERT_URLS", f"{hook.url}, {box.url}")
        sensor = build_definitions(poisoned).resolve_sensor_def("alert")
        for _ in range(3):
            context = dg.build_sensor_context(instance, resources={"project": ProjectResource.of(poisoned)})
            tick = sensor.evaluate_tick(context)
            assert tick.skip_message
    (post,), (mail,) = hook.posts, box.mails
    assert post["title"] == mail["Subject"]
    assert post["title"] == "[distillation] ERROR: enough_valid_rows on raw_dataset[train-part-01]"
    lines = post["message"].splitlines()
    assert lines[0] == "ERROR: check enough_valid_rows failed on raw_dataset, shard train-part-01"
    assert "90.0% are wanted" in lines[1]
    assert "rejected: 60" in lines[2]
    assert lines[4] == f"http://127.0.0.1:3000/runs/{run_id}"
    assert [line[:2] for line in lines[5::2]] == ["1.", "2.", "3."]
    assert "[email]" in lines[6]
    assert "ana" not in post["message"]
    assert "<script" not in post["message"]
    assert run_id in mail.get_content()


def test_a_warning_of_a_run_that_succeeded_is_told(tiny_config, instance, hook):
    assert run_checks(instance, passed=False).success
    look_again(tiny_config, instance)
    assert hook.posts[0]["title"] == "[distillation] WARN: check_0 on thing"
    assert "share: 0.3" in hook.posts[0]["message"]
    assert hook.posts[0]["type"] == "warning"


def test_a_run_that_died_after_a_warning_is_told_as_dead_too(tiny_config, instance, hook):
    result = run_checks(instance, passed=False)
    instance.report_run_failed(result.dagster_run, "its process is gone")
    assert look_again(tiny_config, instance).startswith("2 new failures")
    assert "its process is gone" in hook.posts[0]["message"]


def test_what_the_schedule_could_not_make_is_told_once(tmp_path, hook):
    config = load_config(write_project(tmp_path, **{"checks.min_valid_share": 1}))
    poison(tmp_path, rows=1)
    with dg.instance_for_test() as instance:
        job = build_definitions(config).resolve_job_def("redistill_job")
        assert not job.execute_in_process(instance=instance, raise_on_error=False).success
        assert look_again(config, instance).startswith("1 new failures")
    assert hook.posts[0]["title"].endswith("ERROR: enough_valid_rows on raw_dataset[train-part-01]")


@pytest.mark.parametrize("blocking", [True, False])
def test_several_failed_checks_of_a_run_are_one_message(tiny_config, instance, hook, blocking):
    result = run_checks(
        instance, passed=False, severity=dg.AssetCheckSeverity.ERROR, count=CHECKS_OF_A_RUN, blocking=blocking
    )
    assert result.success is not blocking
    assert look_again(tiny_config, instance).startswith(f"{CHECKS_OF_A_RUN} new failures")
    (post,) = hook.posts
    assert all(f"check check_{i} failed on thing" in post["message"] for i in range(CHECKS_OF_A_RUN))
    assert "the run failed" not in post["message"], "the check is why it failed"
    assert ("Nothing that follows" in post["message"]) is blocking


def test_below_the_threshold_nothing_is_told(tmp_path, instance, hook):
    config = load_config(write_project(tmp_path, **{"alerts.severity": "error"}))
    run_checks(instance, passed=False)
    assert look_again(config, instance) == "nothing new"
    run_checks(instance, passed=False, severity=dg.AssetCheckSeverity.ERROR)
    look_again(config, instance)
    assert [post["title"] for post in hook.posts] == ["[distillation] ERROR: check_0 on thing"]


def test_a_run_that_failed_is_told_with_its_error_redacted(tiny_config, instance, hook):
    run_step(instance, "no answer for ana@example.org: Authorization: Bearer abc123def456ghi789")
    look_again(tiny_config, instance)
    (post,) = hook.posts
    assert post["title"] == "[distillation] ERROR: run failed at thing"
    assert "no answer for [email]: Authorization: Bearer [token]" in post["message"]


def test_a_run_whose_process_died_is_told(tiny_config, instance, hook):
    @dg.job
    def lost():
        pass

    run = instance.create_run_for_job(lost)
    instance.report_run_failed(run, "the process was killed")
    look_again(tiny_config, instance)
    assert hook.posts[0]["title"] == "[distillation] ERROR: run failed at lost"
    assert "the process was killed" in hook.posts[0]["message"]


def test_a_run_that_a_person_cancelled_is_no_failure(tiny_config, instance, hook):
    @dg.job
    def stopped():
        pass

    instance.report_run_canceled(instance.create_run_for_job(stopped))
    assert look_again(tiny_config, instance) == "nothing new"


def test_without_an_address_nothing_is_passed_over(tiny_config, instance, monkeypatch):
    monkeypatch.delenv("DISTILL_ALERT_URLS", raising=False)
    run_checks(instance, passed=False)
    assert look_again(tiny_config, instance).startswith("nobody is alerted: DISTILL_ALERT_URLS holds no address")
    with webhook() as hook:
        monkeypatch.setenv("DISTILL_ALERT_URLS", hook.url)
        look_again(tiny_config, instance)
        assert len(hook.posts) == 1


def test_runs_of_long_ago_are_not_told(tiny_config, instance, hook):
    run_checks(instance, passed=False)
    assert look_again(tiny_config, instance, later=LOOK_BACK + 60) == "nothing new"


def test_more_runs_than_a_tick_takes_are_all_told(tiny_config, instance, hook):
    @dg.job
    def lost():
        pass

    for number in range(2 * RUNS_A_TICK + 20):
        run = instance.create_run_for_job(lost, tags={"dagster/partition": f"part-{number:03}"})
        instance.report_run_failed(run, "lost")
    states = [look_again(tiny_config, instance, later=ticks * 2 * LOOK_BACK) for ticks in range(4)]
    assert [state.split()[0] for state in states] == [str(RUNS_A_TICK), str(RUNS_A_TICK), "20", "nothing"]


@pytest.mark.parametrize(
    ("enabled", "address", "status"),
    [(True, "json://localhost", "RUNNING"), (False, "json://localhost", "STOPPED"), (True, "", "STOPPED")],
)
def test_the_sensor_runs_where_the_config_says_so_and_an_address_is_there(
    tmp_path, monkeypatch, enabled, address, status
):
    monkeypatch.setenv("DISTILL_ALERT_URLS", address)
    config = load_config(write_project(tmp_path, **{"alerts.enabled": enabled}))
    assert build_definitions(config).resolve_sensor_def("alert").default_status == dg.DefaultSensorStatus[status]
