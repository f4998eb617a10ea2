"""A bad shard in a project that a daemon makes by itself: it is stopped, and told once, until a person decides.

Everything is real: the teacher's server, the daemon with its runs, the webhook, the mail server, and the kill.
"""

import json
import time
from pathlib import Path

import dagster as dg
import pytest
import yaml

from distill_dagster.config.reading import load_config
from distill_dagster.lineage.project import Project
from distill_dagster.lineage.snapshot import Snapshot
from distill_dagster.planning.steps import list_steps
from testing.alert_servers import mailbox, webhook
from testing.dev_server import DevServer, run_command
from testing.poisoned_project import (
    CUT_OFF,
    POISONED,
    REFUSED,
    REPEATED,
    ROWS,
    SHARDS,
    poison,
    write_poisoned_project,
)
from testing.projects import own_instance, run_project
from testing.waiting import PATIENCE, wait_for

pytestmark = [pytest.mark.daemon, pytest.mark.xdist_group("daemon-2"), pytest.mark.timeout(2 * PATIENCE)]
FOLLOWS = ["validated_synthetic_set", "student_checkpoint", "student_benchmark", "speed_benchmark", "eval_report"]
ENDED = (dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED)
PLACE = f"teacher_outputs[{POISONED}]"


@pytest.fixture
def path(tmp_path, server) -> Path:
    server.script(rules=poison())
    return write_poisoned_project(tmp_path, server)


@pytest.fixture
def instance(path):
    with own_instance(load_config(path)) as value:
        yield value


@pytest.fixture
def told(monkeypatch):
    """A webhook and a mailbox that alerts go to."""
    with webhook() as hook, mailbox() as box:
        monkeypatch.setenv("DISTILL_ALERT_URLS", f"{hook.url} {box.url}")
        yield hook, box


def open_steps(path: Path) -> list[str]:
    return [step.asset for step in list_steps(Snapshot(Project(load_config(path)))) if not step.is_fresh]


def is_idle(instance: dg.DagsterInstance) -> bool:
    return all(run.status in ENDED for run in instance.get_runs())


def ticks_after(instance: dg.DagsterInstance, sensor: str, moment: float) -> int:
    (state,) = (state for state in instance.all_instigator_state() if state.instigator_name == sensor)
    ticks = instance.get_ticks(state.instigator_origin_id, state.selector_id, after=moment)
    return sum(tick.status.value == "SKIPPED" for tick in ticks)  # those that ended, and asked for no run


def status(path: Path) -> dict:
    """What `distill-dagster status` says."""
    said = run_command("status", "--config", path, "--json")
    assert said.exit_code == 1, said.output
    return json.loads(said.stdout)


def assert_told(message: str, run_id: str) -> None:
    """Shard, checks, numbers, link and three rows each, of which nothing can be clicked and nobody is named."""
    refused, cut_off = (block.splitlines() for block in message.split("\n\n"))
    assert refused[:5] == [
        f"ERROR: check few_refusals failed on teacher_outputs, shard {POISONED}",
        "12 of 40 answers decline (30.0%); at most 5.0% are allowed",
        "refusal: 12, refusal_share: 0.3",
        "Nothing that follows is made until the check passes.",
        f"http://127.0.0.1:3000/runs/{run_id}",
    ]
    assert refused[5:] == [
        line
        for row, n in enumerate(REFUSED[:3], 1)
        for line in (f"{row}. row row-{n}: refusal", f"   I'm sorry, but I can't help with that. ({n})")
    ]
    assert cut_off[1:3] == [
        "9 of 40 answers are cut off (22.5%); at most 10.0% are allowed",
        "truncated: 9, truncated_share: 0.225",
    ]
    assert cut_off[5::2] == [f"{row}. row row-{n}: truncated" for row, n in enumerate(CUT_OFF[:3], 1)]
    for text in cut_off[6::2]:
        assert text.startswith("   Mail [email], or <")
        assert not any(live in text for live in ("<script", "</script", "http://"))


def assert_stopped(path: Path) -> None:
    """The shard's two bad checks failed, and nothing that follows was made of it."""
    found = status(path)
    assert [(check["artefact"], check["check"], check["severity"]) for check in found["failing_checks"]] == [
        (PLACE, "few_refusals", "ERROR"),
        (PLACE, "few_truncated", "ERROR"),
    ]
    assert [check["description"].split(";")[0] for check in found["failing_checks"]] == [
        "12 of 40 answers decline (30.0%)",
        "9 of 40 answers are cut off (22.5%)",
    ]
    assert [step["artefact"] for step in found["open"]] == FOLLOWS
    assert {step["state"] for step in found["open"]} == {"missing"}


def trained(instance: dg.DagsterInstance) -> bool:
    runs = instance.get_runs(dg.RunsFilter(statuses=[dg.DagsterRunStatus.SUCCESS]))
    return any(dg.AssetKey("student_checkpoint") in (run.asset_selection or ()) for run in runs)


def passed_checks(instance: dg.DagsterInstance, run_id: str) -> dict[str, str]:
    """Check -> what it found, of those that passed in a run."""
    logs = instance.all_logs(run_id, of_type=dg.DagsterEventType.ASSET_CHECK_EVALUATION)
    found = [entry.dagster_event.asset_check_evaluation_data for entry in logs if entry.dagster_event]
    return {evaluation.check_name: evaluation.description or "" for evaluation in found if evaluation.passed}


def test_a_poisoned_shard_is_told_once_and_nobody_learns_from_it_until_a_person_allows_it(path, instance, told, server):
    hook, box = told
    with DevServer(path) as daemon:
        wait_for(lambda: is_idle(instance) and open_steps(path) == FOLLOWS, "all that is not held up")
        wait_for(lambda: hook.posts and box.mails, "the alert")
        daemon.kill()
    (failed,) = instance.get_runs(dg.RunsFilter(statuses=[dg.DagsterRunStatus.FAILURE]))
    assert failed.tags["dagster/partition"] == POISONED
    assert passed_checks(instance, failed.run_id)["few_degenerate"].startswith("2 of 40 ")
    assert_told(hook.posts[0]["message"], failed.run_id)
    runs, killed = instance.get_run_ids(), time.time()

    with DevServer(path) as daemon:
        for sensor in ("alert", "redistill"):
            wait_for(lambda name=sensor: ticks_after(instance, name, killed) >= 2, f"two ticks of {sensor}")
        assert (len(hook.posts), len(box.mails), instance.get_run_ids()) == (1, 1, runs)
        title = f"[distillation] ERROR: few_refusals on {PLACE}, and 1 more"
        assert hook.posts[0]["title"] == box.mails[0]["Subject"] == title
        assert hook.posts[0]["message"].splitlines() == box.mails[0].get_content().splitlines()
        assert_stopped(path)

        settings = yaml.safe_load(path.read_text())
        allowed = dict.fromkeys(("few_refusals", "few_truncated"), "warn")  # the bad rows are refused anyway
        settings["checks"]["severity"] |= allowed
        path.write_text(yaml.safe_dump(settings))
        daemon.reload()
        wait_for(lambda: trained(instance), "the student")
    store = Project(load_config(path)).store
    examples, student = store.get("validated_synthetic_set"), store.get("student_checkpoint")
    assert student.inputs["validated_synthetic_set"] == examples.data_version
    bad = {"refusal": len(REFUSED), "truncated": len(CUT_OFF), "repetition": len(REPEATED)}
    assert {reason: examples.counts[reason] for reason in bad} == bad
    assert examples.counts["examples"] == SHARDS * ROWS - sum(bad.values())
    assert [post["title"] for post in hook.posts if "few_" in post["message"]] == [title]


def test_a_mended_teacher_is_asked_anew_when_it_has_a_new_revision(path, server):
    with dg.DagsterInstance.ephemeral() as instance:

        def failed() -> list[str]:
            return list(run_project(load_config(path), instance, "teacher_outputs").failed)

        assert failed() == [PLACE]
        server.script()
        assert failed() == [PLACE], "what it said before is kept"
        assert server.counts()["total"] == 0
        path.write_text(path.read_text().replace("of May", "of June"))
        assert not failed()
        assert server.counts()["total"] == SHARDS * ROWS
