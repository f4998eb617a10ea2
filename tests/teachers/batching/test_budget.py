"""The budget counts a batch from the moment it is recorded, and its answers once they are stored."""

from multiprocessing.connection import wait

import pytest

from distill_dagster.errors import BudgetError
from distill_dagster.store.documents import LocalDocuments
from distill_dagster.teachers.batching.records import Batching, BatchRecord
from testing.batches import batched, held_batch, records_of, whole_after
from testing.generation_contract import asked_rows, finish, generate, is_right, output_of, start
from testing.waiting import wait_for

pytestmark = pytest.mark.processes


def test_the_budget_is_checked_before_a_batch_is_sent(tmp_path, server):
    spec = batched(tmp_path, server, asked_rows(10), budget_usd=79.0)
    with pytest.raises(BudgetError, match=r"may cost 80\.0000 USD"):
        generate(spec)
    assert not server.counts()["batches"]
    assert generate(spec.model_copy(update={"budget_usd": 80.0}))[0].counts.ok == 10


def test_a_batch_under_way_counts_against_the_budget(tmp_path, server):
    first = batched(tmp_path, server, asked_rows(6), budget_usd=80.0)
    held_batch(first, server)
    second = batched(tmp_path, server, asked_rows(6, start=10), budget_usd=80.0, name="second")
    with pytest.raises(
        BudgetError, match=r"may cost 48\.0000 USD.*32\.0000 of .* are left: 0\.0000 are spent.*48\.0000"
    ):
        generate(second)
    assert len(server.counts()["batches"]) == 1
    server.script(batch={})
    whole_after(first, server, asked_rows(6))
    assert generate(second)[0].counts.ok == 6, "6 dollars are spent, and no longer 48 reserved"


def test_a_shard_records_its_batch_under_way_before_it_sends_the_rest(tmp_path, server):
    rows = asked_rows(12)
    held_batch(batched(tmp_path, server, rows[:6], budget_usd=80.0), server)
    server.script(batch={})
    whole = batched(tmp_path, server, rows, budget_usd=80.0)
    _, table = generate(whole)
    assert is_right(table, rows)
    counts = server.counts()
    assert len(counts["batches"]) == 2
    assert set(counts["asked_in_batches"].values()) == {1}


def test_two_shards_in_parallel_do_not_take_the_same_dollars(tmp_path, server):
    server.script(batch={"hold": True})
    specs = [
        batched(tmp_path, server, asked_rows(6, start=10 * n), budget_usd=80.0, name=f"shard-{n}") for n in range(2)
    ]
    children = [start(spec) for spec in specs]
    ended = wait([child.sentinel for child in children])
    assert len(ended) == 1, "one of the two stops at once"
    wait_for(
        lambda: server.counts()["batches"] or not any(c.is_alive() for c in children), "the batch of the other one"
    )
    assert len(server.counts()["batches"]) == len(records_of(specs[0])) == 1
    server.script(batch={})
    assert sorted(finish(child) for child in children) == [0, 2]
    assert any("batches under way may cost 48.0000" in output_of(spec) for spec in specs)
    assert len(server.counts()["batches"]) == 1


def test_what_a_record_holds_open(tmp_path):
    asked: list[tuple[float, float]] = []
    stored: set[str] = set()
    batching = Batching(LocalDocuments(tmp_path / "batches"), lambda *amounts: asked.append(amounts), lambda _: stored)
    one = BatchRecord(["a", "b", "c"], most_usd=[1.0, 2.0, 4.0])
    batching.reserve(one, 7.0)
    batching.reserve(BatchRecord(["d"], most_usd=[8.0]), 8.0)
    stored.add("c")
    batching.save(BatchRecord(["e"]))  # of an older version
    batching.reserve(BatchRecord(["f"], most_usd=[16.0]), 16.0)
    stored.clear()
    batching.recorded(one, {"a"})
    batching.reserve(BatchRecord(["g"], most_usd=[32.0]), 32.0)
    assert asked == [(7.0, 0.0), (8.0, 7.0), (16.0, 3.0 + 8.0), (32.0, 6.0 + 8.0 + 16.0)]


def test_a_batch_that_cannot_be_afforded_leaves_no_record(tmp_path):
    def refuse(*_):
        raise BudgetError("no")

    batching = Batching(LocalDocuments(tmp_path / "batches"), refuse, lambda _: ())
    with pytest.raises(BudgetError):
        batching.reserve(BatchRecord(["a"], most_usd=[1.0]), 1.0)
    assert not list((tmp_path / "batches").glob("*.json"))


def test_failed_answers_that_were_paid_for_count_when_they_are_sent_again(tmp_path, server):
    paid = {"match": "<1>", "fault": "no_choices", "times": 1}  # has tokens, but no answer
    server.script(rules=[paid])
    price = {"prompt": 1_000_000, "completion": 0, "batch_discount": 0.5}  # two words, estimated as three tokens
    spec = batched(tmp_path, server, asked_rows(2), price=price, budget_usd=3.4)
    with pytest.raises(BudgetError, match=r"may cost 2\.5000 USD.* 2\.4000 of .*1\.0000 are spent"):
        generate(spec)
