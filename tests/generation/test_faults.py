"""Servers and disks that fail: no reply is lost, no request is sent too often, and the counts add up."""

import contextlib
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from distill_dagster.config import GenerationConfig
from distill_dagster.errors import DataError, UserError
from distill_dagster.generation.specs import GenerateResult
from distill_dagster.store.artefacts import Store
from distill_dagster.teachers.faculty import Faculty
from testing.generation_contract import (
    asked_row,
    asked_rows,
    at,
    finish,
    generate,
    is_right,
    output_of,
    small_disk,
    spec_for,
    start,
    table_of,
)
from testing.made_answers import answer_to
from testing.models_tiny import raw_row

pytestmark = pytest.mark.processes


def teachers(server, **changes):
    return Faculty(teachers=[(1.0, at(server, **changes))])


@pytest.mark.parametrize("headers", [{"Retry-After": "1"}, {}])
def test_a_storm_of_429_loses_no_row_and_multiplies_no_attempt(tmp_path, server, headers):
    """The first 200 requests are refused: more than two round trips, because each allows half as many as the last."""
    generate(spec_for(tmp_path / "before", server, asked_rows(1)))  # or the first request is sent alone
    server.script(latency=1.0, rules=[{"fault": "status", "status": 429, "headers": headers, "times": 200}])
    rows = asked_rows(240)
    spec = spec_for(
        tmp_path, server, rows, faculty=teachers(server, concurrency=128, attempts=6, longest_wait_seconds=2)
    )
    produced, table = generate(spec)
    counts = server.counts()
    assert is_right(table, rows)
    assert counts["by_status"] == {"429": 200, "200": 240}
    assert sum(row["attempts"] for row in table) == counts["total"] == 440
    assert max(counts["by_prompt"].values()) <= 6
    assert produced.counts.ok == 240


@pytest.mark.parametrize("attempts", [1, 2])
def test_a_request_is_sent_as_often_as_the_config_says_whoever_retries(tmp_path, server, attempts):
    server.script(rules=[{"fault": "status", "status": 503}])
    spec = spec_for(
        tmp_path, server, asked_rows(6), faculty=teachers(server, attempts=attempts, longest_wait_seconds=0)
    )
    produced, table = generate(spec)
    assert produced.errors == {"http_503": 6}
    assert set(server.counts()["by_prompt"].values()) == {attempts}
    assert {row["attempts"] for row in table} == {attempts}


KINDS = {
    "429": {"fault": "status", "status": 429, "headers": {"retry-after-ms": "1"}},
    "500": {"fault": "status", "status": 500},
    "400": {"fault": "status", "status": 400},
    "drop": {"fault": "drop"},
    "cut": {"fault": "cut"},
    "broken": {"fault": "broken_json"},
    "none": {"fault": "no_choices"},
    "empty": {"fault": "null_content"},
    "length": {"fault": "say", "text": "half an", "finish_reason": "length"},
    "filter": {"fault": "say", "text": "", "finish_reason": "content_filter"},
    "fine": {"fault": "say", "text": "fine"},
}
FAILING = {"429", "500", "400", "drop", "cut", "broken", "none"}


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    kinds=st.lists(st.sampled_from(sorted(KINDS)), max_size=14),
    turns=st.integers(1, 3),
    copies=st.integers(1, 2),
    sampling=st.sampled_from([(0.0, 1), (1.0, 1), (1.0, 2)]),
    once=st.booleans(),
)
def test_counts_always_add_up(tmp_path_factory, server, kinds, turns, copies, sampling, once):
    """With any faults: each prompt and sample has one line, ok or failed, and each distinct request is sent once."""
    temperature, samples = sampling
    faults = [{"match": f"<{n}>", **KINDS[kind], **({"times": 1} if once else {})} for n, kind in enumerate(kinds)]
    server.script(rules=faults)
    rows = [asked_row(n, f"row-{n}-{copy}") for n in range(len(kinds)) for copy in range(copies)]
    talk = [
        m
        for t in range(turns)
        for m in ({"role": "user", "content": f"say <{t}>"}, {"role": "assistant", "content": "-"})
    ]
    rows.append(raw_row("talk", talk, [], task="conversation"))
    generation = GenerationConfig(max_new_tokens=16, temperature=temperature, samples=samples)
    folder = tmp_path_factory.mktemp("sums")
    previous = None
    for run in range(3):
        before = server.counts()["total"]
        produced, table = generate(spec_for(folder, server, rows, generation=generation, name=f"shard-{run % 2}"))
        sent, counts = server.counts()["total"] - before, produced.counts
        assert len(table) == counts.requests == counts.ok + counts.failed
        assert len(table) == (len(rows) - 1 + turns) * samples
        assert len({(row["row_id"], row["sample"], row["turn"]) for row in table}) == len(table)
        assert counts.failed == sum(produced.errors.values()) == sum(row["status"] == "failed" for row in table)
        assert all((row["error_code"] is None) == (row["status"] == "ok") for row in table)
        asked_at_all = {row["request_hash"] for row in table if row["error_code"] != "previous_turn_failed"}
        assert produced.asked + produced.reused == len(asked_at_all)
        assert sent == produced.asked, "one attempt each"
        if previous is not None:
            assert produced.asked >= previous["failed"] > 0 or produced.asked == 0
        failed = {row["request_hash"] for row in table if row["status"] == "failed"} & asked_at_all
        previous = {"failed": len(failed)}
        good = [row for row in table if row["status"] == "ok" and row["raw_text"].startswith("answer")]
        texts = {row["row_id"]: answer_to(row["messages"]) for row in rows if row["task"] == "qa"}
        assert all(row["raw_text"] == texts[row["row_id"]] for row in good if row["row_id"] in texts)


@pytest.fixture
def disk(tmp_path):
    """A small disk for replies and tables: (folder, remount)."""
    with small_disk(tmp_path / "disk", "256k") as remount:
        yield tmp_path / "disk", remount


def on_disk(folder, disk, server, rows):
    spec = spec_for(folder, server, rows)
    return spec.model_copy(update={"responses": str(disk / "responses")})


def test_a_full_disk_stops_the_worker_and_after_making_room_nothing_is_paid_twice(tmp_path, server, disk):
    folder, _ = disk
    rows = asked_rows(60)
    spec = on_disk(tmp_path, folder, server, rows)
    (folder / "ballast").write_bytes(b"x" * 248_000)
    assert finish(start(spec)) == 2
    told = output_of(spec)
    assert "DataError" in told
    assert "No space left on device" in told
    assert "make room" in told
    assert "Traceback" not in told
    asked = server.counts()["total"]
    kept = journal_texts(folder)
    assert 0 < len(kept) <= asked < 60
    (folder / "ballast").unlink()
    assert finish(start(spec)) == 0, output_of(spec)
    assert is_right(table_of(spec), rows)
    assert server.counts()["total"] == asked + 60 - len(kept)
    assert asked - len(kept) <= 8, "what was in flight"


def journal_texts(folder):
    journal = folder / "responses" / "journals" / "shard.jsonl"
    return journal.read_text().splitlines() if journal.exists() else []


def test_a_disk_that_fills_up_while_sealing_loses_nothing(tmp_path, server):
    rows = asked_rows(60)
    spec = spec_for(tmp_path, server, rows)
    segments = tmp_path / "responses" / "segments"
    with small_disk(segments, "4k") as remount:
        assert finish(start(spec)) == 2
        assert "No space left on device" in output_of(spec)
        assert "Traceback" not in output_of(spec)
        assert len((tmp_path / "responses" / "journals" / "shard.jsonl").read_text().splitlines()) == 60
        assert list(segments.iterdir()) == [], "no half segment is left"
        remount("size=256k")
        assert finish(start(spec)) == 0
        assert is_right(table_of(spec), rows)
        assert server.counts()["total"] == 60


def test_a_read_only_folder_of_replies_is_named_before_anything_is_asked(tmp_path, server, disk):
    folder, remount = disk
    spec = on_disk(tmp_path, folder, server, asked_rows(5))
    remount("ro")
    assert finish(start(spec)) == 2
    assert "journals cannot be written (Read-only file system)" in output_of(spec)
    assert "choose another `store:`" in output_of(spec)
    assert server.counts()["total"] == 0


def fill(path):
    """Write until the disk is full."""
    with path.open("wb", buffering=0) as ballast, contextlib.suppress(OSError):
        while True:
            ballast.write(b"x" * 4096)


def publish(store, spec, fingerprint):
    """Publish a shard as the asset does."""
    from distill_dagster.generation.shard import generate_shard

    def make(out: Path, work: Path):
        return generate_shard(spec.model_copy(update={"out": str(out)}), "cpu")

    return store.publish("teacher_outputs", "s", fingerprint=fingerprint, inputs={}, make=make)


def test_on_a_full_or_read_only_store_the_shard_of_before_stays_published(tmp_path, server, disk):
    folder, remount = disk
    store, rows = Store(folder / "store"), asked_rows(20)
    spec = spec_for(tmp_path, server, rows)  # the replies are kept elsewhere
    before = publish(store, spec, "f1")
    more = spec_for(tmp_path, server, [*rows, *asked_rows(20, start=100)], name="more", journal="shard")
    fill(folder / "ballast")
    with pytest.raises(DataError, match="No space left on device"):
        publish(store, more, "f2")
    assert store.get("teacher_outputs", "s") == before
    remount("ro")
    with pytest.raises(UserError, match=r"cannot be written .*Read-only file system"):
        publish(store, more, "f2")
    assert store.get("teacher_outputs", "s") == before
    asked = server.counts()["total"]
    remount("rw")
    (folder / "ballast").unlink()
    after = publish(store, more, "f2")
    assert after.read(GenerateResult).counts.ok == 40
    assert server.counts()["total"] == max(asked, 40) == 40
    assert not list((folder / "store").glob("*/*/.scratch-*"))
    assert len(list((folder / "store" / "teacher_outputs" / "s" / "versions").iterdir())) == 2
