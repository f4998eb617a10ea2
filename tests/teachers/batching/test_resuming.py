"""A run that was killed finds its batch again: no request is sent twice, and no reply is lost."""

import json
from pathlib import Path

import pytest

from testing.batches import batched, held_batch, records_of, whole_after
from testing.generation_contract import (
    asked_rows,
    finish,
    generate,
    is_right,
    journal_lines,
    kill_when,
    output_of,
    start,
    steps_of,
)

pytestmark = pytest.mark.processes


def test_killed_while_it_waits_it_finds_its_batch_again(tmp_path, server):
    rows = asked_rows(12)
    spec = batched(tmp_path, server, rows)
    held_batch(spec, server)
    server.script(batch={})
    whole_after(spec, server, rows)
    assert not records_of(spec)


def test_killed_between_creating_the_batch_and_its_id_it_is_not_sent_twice(tmp_path, server):
    server.script(batch={"hang_reply": 1})
    rows = asked_rows(12)
    spec = batched(tmp_path, server, rows)
    kill_when(start(spec), lambda: server.counts()["batches"])
    [record] = [json.loads(path.read_text()) for path in records_of(spec)]
    assert record["batch_id"] is None
    whole_after(spec, server, rows)


def test_a_lost_answer_to_the_creation_is_not_a_second_batch(tmp_path, server):
    server.script(batch={"lose_reply": 1})
    rows = asked_rows(5)
    whole_after(batched(tmp_path, server, rows), server, rows)


def test_the_batch_is_found_behind_others_and_without_metadata(tmp_path, server):
    for n in range(3):
        generate(batched(tmp_path / f"other-{n}", server, asked_rows(1, start=100 + n)))
    server.script(batch={"hang_reply": 1})
    rows = asked_rows(4)
    spec = batched(tmp_path, server, rows)
    kill_when(start(spec), lambda: len(server.counts()["batches"]) == 4)
    for n in range(3):
        generate(batched(tmp_path / f"later-{n}", server, asked_rows(1, start=200 + n)))
    [path] = records_of(spec)
    record = json.loads(path.read_text())
    assert record["input_file_id"]
    (path.parent / f"{path.stem}.json").write_text(json.dumps({**record, "key": path.stem[::-1]}))  # metadata lost
    assert is_right(generate(spec)[1], rows)
    assert len(server.counts()["batches"]) == 7


def test_killed_right_before_every_step_on_disk(tmp_path, server):
    whole = batched(tmp_path / "whole", server, asked_rows(4))
    assert finish(start(whole)) == 0, output_of(whole)
    steps = steps_of(whole)
    assert any("/batches/" in step for step in steps)
    for n in range(1, len(steps) + 1):
        rows = asked_rows(4, start=10 * n)
        spec = batched(tmp_path / f"step-{n}", server, rows)
        assert finish(start(spec, kill_at=n)) == -9, steps[n - 1]
        whole_after(spec, server, rows)


def test_a_record_whose_replies_are_stored_is_removed_by_the_next_batch(tmp_path, server):
    spec = batched(tmp_path, server, asked_rows(3))
    hashes = [row["request_hash"] for row in generate(spec)[1]]
    (Path(spec.responses) / "batches" / "left.json").write_text(json.dumps({"hashes": hashes, "key": "left"}))
    generate(batched(tmp_path, server, asked_rows(1, start=7), name="next"))
    assert not records_of(spec)


def test_killed_while_it_records_the_rest_is_read_from_the_same_batch(tmp_path, server):
    rows = asked_rows(400)
    spec = batched(tmp_path, server, rows)
    child = start(spec)
    kill_when(child, lambda: journal_lines(spec) >= 5)
    whole_after(spec, server, rows)


def test_a_config_that_no_longer_asks_leaves_the_batch_to_the_run_that_does(tmp_path, server):
    rows = asked_rows(6)
    spec = batched(tmp_path, server, rows)
    held_batch(spec, server)
    server.script(batch={})
    assert is_right(generate(batched(tmp_path, server, rows[:2], name="smaller"))[1], rows[:2])
    assert is_right(generate(spec)[1], rows)
    assert set(server.counts()["asked_in_batches"].values()) == {1}
