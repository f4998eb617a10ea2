"""What the alert sensor remembers: it sends each alert once, after a restart and after failed deliveries too."""

import json
import subprocess
import sys
from pathlib import Path

import dagster as dg
import pytest

from distill_dagster.alerts.memory import ALERTS_FILE
from distill_dagster.config.reading import load_config
from distill_dagster.definitions import build_definitions
from distill_dagster.resources.project import ProjectResource
from testing.alert_runs import look_again, poison, run_checks, run_step
from testing.alert_servers import webhook
from testing.projects import run_project, write_project

pytestmark = pytest.mark.processes

TICK = """
import sys, time, logging
import dagster as dg
from distill_dagster.operations.alerting import send_alerts
from distill_dagster.config.reading import load_config
from distill_dagster.lineage.project import Project
with dg.DagsterInstance.from_config(sys.argv[1]) as instance:
    print(send_alerts(instance, Project(load_config(sys.argv[2])), time.time(), logging.getLogger("alerts")))
"""


def test_a_restarted_daemon_repeats_nothing_and_misses_nothing(tmp_path, hook):
    config_path = write_project(tmp_path)
    poison(tmp_path, 1)
    config, home = load_config(config_path), tmp_path / "home"
    home.mkdir()
    (home / "dagster.yaml").write_text("telemetry: {enabled: false}\n")

    def tick_in_a_new_process() -> str:
        command = [sys.executable, "-c", TICK, str(home), str(config_path)]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()

    with dg.DagsterInstance.from_config(str(home)) as instance:
        run_project(config, instance, "raw_dataset")
        assert tick_in_a_new_process() == "1 new failures, 1 deliveries"
        assert tick_in_a_new_process() == "nothing new"
        poison(tmp_path, 2)
        run_project(config, instance, "raw_dataset")  # shard 1 fails once more, shard 2 for the first time
        assert tick_in_a_new_process() == "1 new failures, 1 deliveries"
    assert [post["title"].split()[-1] for post in hook.posts] == [
        "raw_dataset[train-part-01]",
        "raw_dataset[train-part-02]",
    ]


def test_the_same_failure_is_quiet_until_the_hours_are_over_or_it_was_repaired(tmp_path, instance, hook):
    config = load_config(write_project(tmp_path, **{"alerts.repeat_hours": 0.1}))

    def told(passed, later=0.0):
        before = len(hook.posts)
        run_checks(instance, passed=passed)
        look_again(config, instance, later)
        return len(hook.posts) - before

    assert [told(False), told(False), told(False, later=370)] == [1, 0, 1]
    assert [told(False), told(True), told(False)] == [0, 0, 1]


def test_a_made_asset_ends_the_quiet_of_its_failed_runs(tiny_config, instance, hook):
    for error in ("out of memory", "out of memory", None, "out of memory"):
        run_step(instance, error)
        look_again(tiny_config, instance)
    assert len(hook.posts) == 2


def test_a_failed_delivery_is_tried_again_and_arrives_once(tiny_config, instance, hook, monkeypatch, caplog):
    with webhook() as broken:
        monkeypatch.setenv("DISTILL_ALERT_URLS", f"{hook.url} {broken.url}")
        broken.status = 500
        run_checks(instance, passed=False)
        state = look_again(tiny_config, instance)
        assert "1 deliveries wait, the last one for address 2 json (attempt 1:" in state
        assert broken.tried == 1
        look_again(tiny_config, instance, later=20)
        assert broken.tried == 1, "the next attempt is due later"
        look_again(tiny_config, instance, later=40)
        assert (broken.tried, broken.posts) == (2, [])
        broken.status = 200
        assert look_again(tiny_config, instance, later=200) == "0 new failures, 1 deliveries"
        look_again(tiny_config, instance, later=900)
    assert (len(hook.posts), len(broken.posts)) == (1, 1)
    assert "did not arrive at address 2 json, attempt 2" in caplog.text


def test_an_address_that_never_answers_is_given_up_with_a_log_line(tiny_config, instance, monkeypatch, caplog):
    monkeypatch.setenv("DISTILL_ALERT_URLS", "json://127.0.0.1:9/hook-S3cretPath")
    run_checks(instance, passed=False)
    for hours in range(20):
        look_again(tiny_config, instance, later=hours * 3600)
    assert "is given up for address 1 json after 10 attempts" in caplog.text
    remembered = (Path(tiny_config.store) / ALERTS_FILE).read_text()
    (outgoing,) = json.loads(remembered)["outbox"]
    assert outgoing["addresses"]["1 json"]["made"] == 10
    assert "S3cretPath" not in remembered + caplog.text


def test_a_damaged_memory_is_reported_and_not_raised(tiny_config, instance, hook):
    store = Path(tiny_config.store)
    store.mkdir()
    (store / ALERTS_FILE).write_text("{")
    context = dg.build_sensor_context(instance, resources={"project": ProjectResource.of(tiny_config)})
    tick = build_definitions(tiny_config).resolve_sensor_def("alert").evaluate_tick(context)
    assert "alerts.json is damaged" in tick.skip_message
