"""Keys and endpoints: each is tried with one request, unless all replies are stored."""

from distill_dagster.config.reading import load_config
from distill_dagster.lineage.project import Project
from distill_dagster.lineage.snapshot import Snapshot
from distill_dagster.planning.plan import make_plan
from testing.api_project import write_api_project
from testing.dev_server import free_port
from testing.projects import run_project
from testing.wrong_places import said, wrong_place
from tests.preflight.looks import errors, look_at


def test_only_one_request_is_sent_and_the_run_then_sends_none_alone(tmp_path, server, instance):
    path = write_api_project(tmp_path, server, test_gold="answer", shards=1)
    look_at(path, plans_memory=False)
    run_project(load_config(path), instance, "teacher_outputs")
    prompts = server.counts()["by_prompt"]
    assert prompts.pop("Reply with the word OK.") == 1
    assert set(prompts.values()) == {1}


def test_the_request_is_paid_and_changes_no_estimate(tmp_path, server):
    path = write_api_project(tmp_path, server, test_gold="answer", endpoint={"price": {"completion": 1000.0}})
    look_at(path, plans_memory=False)
    plan = make_plan(Snapshot(Project(load_config(path))))
    assert plan.spent_usd > 0
    assert any("the limit, max_new_tokens" in rule for rule in plan.rules)


def test_a_key_that_is_not_set_is_named_and_nothing_is_sent(tmp_path, server, monkeypatch):
    monkeypatch.delenv("MADE_KEY", raising=False)
    path = write_api_project(tmp_path, server, test_gold="answer", endpoint={"api_key": "MADE_KEY"})
    for whole in (True, False):
        assert "MADE_KEY, which is not set" in errors(path, whole=whole)["key", "made"]
    assert server.counts()["total"] == 0


def test_an_endpoint_that_is_not_there_is_named(tmp_path, server):
    path = write_api_project(
        tmp_path, server, test_gold="answer", endpoint={"url": f"http://127.0.0.1:{free_port()}/v1"}
    )
    assert "connection refused" in errors(path, plans_memory=False)["endpoint", "made"]


def test_every_endpoint_of_a_mix_and_of_a_panel_is_asked_once(tmp_path, server):
    with wrong_place(said(200, {"error": "Unexpected endpoint or method."})) as other:
        panel = [{"endpoint": {"url": other.url, "model": "second"}}]
        path = write_api_project(tmp_path, server, test_gold="answer", teacher={"best_of": {"teachers": panel}})
        found = errors(path)
    assert list(found) == [("endpoint", "second")]
    assert (server.counts()["total"], len(other.requests)) == (1, 1)


def test_a_request_that_is_refused_for_itself_is_a_warning(tmp_path, server):
    server.script(rules=[{"fault": "status", "status": 400, "text": "max_tokens is too large"}])
    found = [
        r
        for r in look_at(write_api_project(tmp_path, server, test_gold="answer"), plans_memory=False)
        if r.what == "endpoint"
    ]
    assert [r.state for r in found] == ["warning"]
    assert "max_tokens is too large" in found[0].found


def test_a_spent_budget_is_an_error_and_nothing_is_sent(tmp_path, server, instance):
    price = {"price": {"completion": 1_000_000.0}}
    path = write_api_project(tmp_path, server, test_gold="answer", shards=1, endpoint=price, teacher={"budget_usd": 1})
    run_project(load_config(path), instance, "teacher_outputs")
    before = server.counts()["total"]
    assert "budget_usd" in errors(path, plans_memory=False)["endpoint", "made"]
    assert server.counts()["total"] == before


def test_a_teacher_that_has_answered_needs_no_key(tmp_path, server, instance, monkeypatch):
    monkeypatch.setenv("MADE_KEY", "sk-0123456789")
    path = write_api_project(tmp_path, server, test_gold="answer", shards=1, endpoint={"api_key": "MADE_KEY"})
    run_project(load_config(path), instance, "teacher_outputs")
    monkeypatch.delenv("MADE_KEY")
    before = server.counts()["total"]
    found = {requirement.what for requirement in look_at(path, until="student_checkpoint", plans_memory=False)}
    assert "model" in found
    assert not {"key", "endpoint"} & found
    (tmp_path / "data/train/part-00.jsonl").rename(tmp_path / "data/train/part-99.jsonl")
    found = {requirement.what for requirement in look_at(path, until="student_checkpoint", plans_memory=False)}
    assert not {"key", "endpoint"} & found, "all replies are stored"
    assert ("key", "made") in errors(path, plans_memory=False), "the teacher was not measured yet"
    assert server.counts()["total"] == before


def test_a_header_whose_variable_is_not_set_is_named(tmp_path, server, monkeypatch):
    monkeypatch.delenv("GATEWAY_KEY", raising=False)
    path = write_api_project(tmp_path, server, test_gold="answer", endpoint={"headers": {"X-Gateway": "$GATEWAY_KEY"}})
    assert "the header X-Gateway" in errors(path, whole=False)["key", "made"]
