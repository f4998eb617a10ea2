"""Each decision about a release is sent once, no matter who made it."""

import dagster as dg
import pytest

from distill_dagster.alerts.memory import ALERTS_FILE, Memory
from distill_dagster.alerts.releases import compose_decisions, new_decisions
from distill_dagster.config.reading import load_config
from distill_dagster.lineage.project import Project
from distill_dagster.store.documents import LocalDocuments
from testing.alert_runs import look_again
from testing.alert_servers import webhook
from testing.projects import write_project
from testing.releases import Students, named

NOW = 1_800_000_000.0


@pytest.fixture
def project(tmp_path) -> Project:
    return Project(load_config(write_project(tmp_path, release={}, **{"alerts.severity": "error"})))


def test_a_promotion_and_a_refusal_arrive_once_at_every_severity(project, tmp_path, monkeypatch):
    students = Students(tmp_path)
    with webhook() as hook, dg.DagsterInstance.ephemeral() as instance:
        monkeypatch.setenv("DISTILL_ALERT_URLS", hook.url)
        assert look_again(project.config, instance) == "nothing new"
        students.judge("a", wrong=50)
        assert look_again(project.config, instance) == "0 new failures, 1 decisions on releases, 1 deliveries"
        students.judge("a", wrong=50)
        assert look_again(project.config, instance) == "nothing new"
        students.judge("b", wrong=80, who="automation: an input changed (ada)")
        look_again(project.config, instance)
    first, second = hook.posts
    assert (first["title"], first["type"]) == ("[distillation] PROMOTED: student a00000000000", "info")
    assert (second["title"], second["type"]) == ("[distillation] REFUSED: student b00000000000", "warning")
    lines = second["message"].splitlines()
    assert lines[0] == "REFUSED: student b00000000000, by automation: an input changed (ada)"
    assert lines[1].startswith("against the released student: -3.0 points (95 % interval")
    assert lines[2] == "Released now: a00000000000"


def test_decisions_before_the_first_look_are_not_sent(project, tmp_path):
    students, memory = Students(tmp_path), Memory.load(LocalDocuments(tmp_path / "store"), NOW)
    students.judge("a", wrong=50)
    assert new_decisions(project, memory) == []
    students.judge("b", wrong=80)
    assert [decision.student for decision in new_decisions(project, memory)] == [named("b")]
    assert new_decisions(project, memory) == []


def test_the_memory_of_a_version_without_releases_sends_the_first_decision(project, tmp_path):
    students = Students(tmp_path)
    (tmp_path / "store").mkdir(exist_ok=True)
    (tmp_path / "store" / ALERTS_FILE).write_text('{"since": 1.0, "runs": {}, "sent": {}, "outbox": []}')
    memory = Memory.load(LocalDocuments(tmp_path / "store"), NOW)
    students.judge("a", wrong=50)
    assert len(new_decisions(project, memory)) == 1


def test_one_message_has_all_decisions_of_a_look_the_last_one_first(tmp_path):
    students = Students(tmp_path, approve="manual")
    for name, wrong in (("a", 50), ("b", 40)):
        students.judge(name, wrong=wrong)
    message = compose_decisions("intent", students.register.decisions, "http://ui")
    assert message.title == "[intent] WAITS FOR APPROVAL: student b00000000000, and 2 more"
    assert [block.split(",")[0] for block in message.body.split("\n\n")] == [
        "WAITS FOR APPROVAL: student b00000000000",
        "REFUSED: student a00000000000",
        "WAITS FOR APPROVAL: student a00000000000",
    ]
    assert message.severity == "warn"
