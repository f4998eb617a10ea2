"""The plan of a project says what a run then asks, and what that costs; to make it asks nobody."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from distill_dagster.cli import app
from distill_dagster.config.reading import load_config
from distill_dagster.generation.specs import GenerateResult
from distill_dagster.lineage.project import Project
from distill_dagster.lineage.snapshot import Snapshot
from distill_dagster.planning.plan import make_plan
from distill_dagster.teachers.money import usd
from testing.api_project import (
    ALL,
    CONCURRENCY,
    HELD_OUT,
    SHARD_ROWS,
    answered_project,
    run_until_answers,
    write_api_project,
    write_rows,
)
from testing.projects import TINY_LLAMA

PRICE = {"prompt": 1_000_000, "completion": 2_000_000}
PANEL = {"priced": {"price": PRICE}, "free": {}}


@pytest.fixture
def answered(tmp_path, server, instance):
    """A project with answered shards: (path of its config, project)."""
    return answered_project(tmp_path, server, instance)


def planned(path: Path) -> dict:
    """The plan as `distill-dagster plan --json` prints it."""
    result = CliRunner().invoke(app, ["plan", "--config", str(path), "--json"])
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def fields(plan: dict, *names) -> list[tuple]:
    return [(shard["shard"], *(shard[name] for name in names)) for shard in plan["shards"]]


def test_the_plan_of_a_fresh_project_asks_and_makes_nothing(tmp_path, server):
    path = write_api_project(
        tmp_path, server, test_gold="answer", endpoint={"price": PRICE}, teacher={"budget_usd": 500}
    )
    plan = planned(path)
    assert server.counts()["total"] == 0
    assert not (tmp_path / "store").exists()
    assert {(step["asset"], step["state"]) for step in plan["steps"]} >= {("teacher_outputs", "missing")}
    assert {tuple(step["why"]) for step in plan["steps"]} == {("never made",)}
    assert fields(plan, "rows", "new", "reused") == [
        *((f"train-part-0{n}", SHARD_ROWS, SHARD_ROWS, 0) for n in range(3)),
        ("validation", 4, 4, 0),
    ]
    total = plan["total"]
    assert plan["benchmark"]["new"] == HELD_OUT
    assert (total["new"], total["completion_tokens"]) == (ALL + HELD_OUT, 16 * (ALL + HELD_OUT))
    assert total["cost_usd"] == pytest.approx(total["prompt_tokens"] + 2 * total["completion_tokens"])
    assert (plan["budget_usd"], plan["spent_usd"], plan["seconds"]) == (500, 0, None)
    assert plan["rules"] == [
        "prompt tokens of made: 4 characters a token",
        "completion tokens of made: the limit, max_new_tokens",
        "time: not known, no shard has asked this teacher yet",
    ]


DISCOUNT = {**PRICE, "batch_discount": 0.5}


@pytest.mark.parametrize("batch", [False, True])
def test_the_plan_shows_both_prices(tmp_path, server, batch):
    path = write_api_project(tmp_path, server, test_gold="answer", endpoint={"price": DISCOUNT, "batch": batch})
    plan = planned(path)
    for part in plan["shards"]:
        assert part["single_usd"] == pytest.approx(part["prompt_tokens"] + 2 * part["completion_tokens"])
        assert part["batch_usd"] == part["single_usd"] / 2
        assert part["cost_usd"] == (part["batch_usd"] if batch else part["single_usd"])
    assert plan["benchmark"]["cost_usd"] == plan["benchmark"]["batch_usd" if batch else "single_usd"]
    assert plan["benchmark"]["new"] == HELD_OUT
    assert "made: in a batch a request costs 50% less" in plan["rules"]
    shown = CliRunner().invoke(app, ["plan", "--config", str(path)]).output
    assert "one by one" in shown
    assert "in batches" in shown
    assert usd(plan["total"]["batch_usd"]).removesuffix(" USD") in shown
    assert usd(plan["total"]["single_usd"]).removesuffix(" USD") in shown


@pytest.mark.parametrize("requests", [0, 3])
def test_the_prompts_that_time_the_teacher_are_counted_once_and_at_full_price(tmp_path, server, requests):
    endpoint, changes = {"price": DISCOUNT, "batch": True}, {"evaluation.speed.endpoint_requests": requests}
    plan = planned(write_api_project(tmp_path, server, test_gold="answer", endpoint=endpoint, **changes))
    assert plan["total"]["new"] == ALL + HELD_OUT
    single, batch, cost = (plan["benchmark"][name] for name in ("single_usd", "batch_usd", "cost_usd"))
    assert cost == pytest.approx(batch + requests / HELD_OUT * (single - batch))
    assert plan["speed"] == (None if not requests else {**plan["speed"], "rows": requests, "new": 0})


@pytest.mark.processes
def test_the_plan_counts_probes_as_the_run_sends_them(tmp_path, server, instance):
    generation = {"max_new_tokens": 16, "temperature": 0.5}
    teacher = {"generation": generation, "smoke": {"rows": 2, "max_failed_share": 1}}
    path = write_api_project(tmp_path, server, test_gold="answer", shards=2, teacher=teacher)
    plan = planned(path)
    assert sum(shard["new"] for shard in plan["shards"]) == 2 * SHARD_ROWS + 4 + 1, "one probe, at temperature 0"
    assert not run_until_answers(path, instance).failed
    assert server.counts()["total"] == plan["total"]["new"] - HELD_OUT
    assert planned(path)["shards"] == []


@pytest.mark.processes
def test_the_plan_says_what_a_run_then_asks(answered, server, instance):
    path, _ = answered
    assert planned(path)["shards"] == []
    train = path.parent / "data/train"
    write_rows(train / "part-00.jsonl", [*range(6), 100, 101, 101 + 1])
    write_rows(train / "part-04.jsonl", [6, 7, 14, 100, 200])
    with (train / "part-04.jsonl").open("a") as rows:  # another id, and the prompt of a row in another shard
        rows.write(json.dumps({"id": "copy", "messages": [{"role": "user", "content": "question <101>"}]}) + "\n")
    server.script()
    plan = planned(path)
    assert server.counts()["total"] == 0
    assert fields(plan, "rows", "new", "reused") == [("train-part-00", 9, 3, 6), ("train-part-04", 6, 1, 5)]
    assert sum(shard["completion_tokens"] for shard in plan["shards"]) == 4 * 2, "the mean of the replies so far"
    assert plan["seconds"] >= 0, "from the speed that was measured"
    assert not run_until_answers(path, instance).failed
    assert server.counts()["total"] == plan["total"]["new"] - HELD_OUT == 4
    store = Project(load_config(path)).store
    for shard, _, new, reused in fields(plan, "rows", "new", "reused"):
        result = store.get("teacher_outputs", shard).read(GenerateResult)
        assert (result.asked, result.reused) == (new, reused)
    assert planned(path)["shards"] == []


@pytest.mark.processes
def test_the_plan_of_several_teachers_counts_each_and_names_the_judge(tmp_path, server, instance):
    def source(model):
        return {"endpoint": {"url": server.url, "model": model, "concurrency": CONCURRENCY}}

    path = write_api_project(
        tmp_path,
        server,
        test_gold="answer",
        shards=1,
        teacher={
            "endpoint": None,
            "mix": [{**source("a"), "weight": 2}, source("b")],
            "best_of": {"choose": "judge", "teachers": [source("c")], "judge": source("judge")},
        },
    )
    plan, rows = planned(path), SHARD_ROWS + 4
    assert plan["total"]["new"] == 2 * rows + rows + HELD_OUT
    assert any("the judge: at most one request a row" in rule for rule in plan["rules"])
    assert server.counts()["total"] == 0
    server.script(choices=["same"])  # nothing to judge
    assert not run_until_answers(path, instance).failed
    assert server.counts()["total"] == 2 * rows


@pytest.mark.processes
def test_the_plan_counts_the_judge_exactly_where_the_answers_are_stored(tmp_path, server, instance):
    def source(model):
        return {"endpoint": {"url": server.url, "model": model, "concurrency": CONCURRENCY, "price": PRICE}}

    judged = {"endpoint": None, "mix": [{**source("a"), "weight": 1}], "best_of": {"teachers": [source("c")]}}
    path = write_api_project(tmp_path, server, test_gold="answer", shards=1, teacher=judged)
    server.script(rules=[{"fault": "say", "text": "another answer", "times": 6}])
    assert not run_until_answers(path, instance).failed
    before = server.counts()["total"]
    judged["best_of"] |= {"choose": "judge", "judge": source("judge")}
    path = write_api_project(tmp_path, server, test_gold="answer", shards=1, teacher=judged)
    plan = planned(path)
    assert not run_until_answers(path, instance).failed
    asked = server.counts()["total"] - before
    assert 0 < asked == plan["shards"][0]["new"] < SHARD_ROWS + 4
    assert planned(path)["shards"] == []


def test_the_plan_counts_the_judge_of_answers_that_are_still_to_come(tmp_path, server):
    judge = {"endpoint": {"url": server.url, "model": "judge", "price": PRICE}, "prompts": 20}
    path = write_api_project(tmp_path, server, test_gold="answer", evaluation={"judge": judge})
    rows = [{"messages": [{"role": "user", "content": f"question {i}"}], "reference": f"gold {i}"} for i in range(8)]
    (tmp_path / "data" / "test.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    plan, canaries = planned(path), 5 * 4 * 2  # prompts, texts against the gold answer, orders
    assert plan["judgement"]["new"] == canaries + 2 * len(rows)
    assert plan["judgement"]["by_limit"] > 0
    assert plan["total"]["cost_usd"] == plan["judgement"]["cost_usd"] > 0  # the teacher has no price
    assert server.counts()["total"] == 0


def test_the_plan_counts_a_panel_beside_a_local_teacher_that_is_yet_to_be_made(tmp_path, server):
    own = {"architecture": "llama", "settings": TINY_LLAMA, "vocab_size": 400}
    panel = [{"endpoint": {"url": server.url, "model": name, **price}} for name, price in PANEL.items()]
    path = write_api_project(
        tmp_path,
        server,
        test_gold="answer",
        shards=1,
        teacher={"endpoint": None, "model": own, "best_of": {"teachers": panel}, "fit": {"learning_rate": 1e-2}},
    )
    plan = planned(path)
    total, rows = plan["total"], SHARD_ROWS + 4
    assert total["new"] == 3 * rows
    assert total["completion_tokens"] == 3 * rows * 16
    of_one = total["prompt_tokens"] / 3, total["completion_tokens"] / 3
    assert total["cost_usd"] == pytest.approx(of_one[0] + 2 * of_one[1]), "the priced one alone"
    assert "free has no `price`: give one to see what its requests cost" in plan["rules"]
    assert not any(rule.startswith("priced has no") for rule in plan["rules"])
    assert server.counts()["total"] == 0


@pytest.mark.processes
def test_the_plan_of_a_conversation_counts_every_turn(tmp_path, server, instance):
    path = write_api_project(tmp_path, server, test_gold="answer", shards=1)
    turns = [
        m for text in ("Hi", "Bye") for m in ({"role": "user", "content": text}, {"role": "assistant", "content": "-"})
    ]
    row = {"id": "talk", "task": "conversation", "messages": turns}
    with (path.parent / "data/train/part-00.jsonl").open("a") as rows:
        rows.write(json.dumps(row) + "\n")
    assert make_plan(Snapshot(Project(load_config(path)))).total.new == SHARD_ROWS + 4 + 2 + HELD_OUT
    assert not run_until_answers(path, instance).failed
    assert server.counts()["total"] == SHARD_ROWS + 4 + 2


@pytest.mark.processes
def test_the_plan_as_tables(answered, tmp_path, server):
    path, _ = answered
    write_rows(path.parent / "data/train/part-00.jsonl", range(300, 305))
    result = CliRunner().invoke(app, ["plan", "--config", str(path)], env={"COLUMNS": "200"})
    assert result.exit_code == 0
    for text in (
        "teacher_outputs[train-part-00]",
        "raw_dataset is made again",
        "new requests",
        "time with the teacher",
    ):
        assert text in result.output
