"""A shard killed with SIGKILL at any step and run again: no reply is lost, different, or paid for twice."""

import subprocess
import sys
import time
from pathlib import Path

import pytest

from distill_dagster.store import parquet
from distill_dagster.teachers.faculty import Faculty
from distill_dagster.teachers.responses import Responses
from testing.generation_contract import (
    CONCURRENCY,
    asked_rows,
    at,
    finish,
    generate,
    is_right,
    journal_lines,
    kill_when,
    lasting,
    output_of,
    spec_for,
    start,
    steps_of,
    table_of,
)

pytestmark = pytest.mark.processes

PRICE = {"prompt": 0.0, "completion": 1_000_000}  # a dollar a completion token
DOLLARS = 2  # "answer 4168220" has two tokens


def priced(folder, server, rows, **changes):
    return spec_for(folder, server, rows, faculty=Faculty(teachers=[(1.0, at(server, price=PRICE))]), **changes)


@pytest.fixture
def uninterrupted(tmp_path, server):
    """(data version, lasting columns) of the same rows without a kill."""

    def made(rows):
        produced, table = generate(spec_for(tmp_path / "calm", server, rows))
        server.script()
        return produced.data_version, lasting(table)

    return made


def is_whole(spec, server, rows, expected, extra) -> None:
    """Resume, and compare with the run without a kill; at most `extra` calls were made twice."""
    produced, table = generate(spec)
    assert (produced.data_version, lasting(table)) == expected
    assert is_right(table, rows)
    counts = server.counts()
    assert len(rows) <= counts["total"] <= len(rows) + extra
    assert len(counts["by_prompt"]) == len(rows)
    assert generate(spec)[0].asked == 0
    assert server.counts()["total"] == counts["total"]
    assert Responses(Path(spec.responses)).spent() == DOLLARS * len(rows), "each reply is on disk once"


@pytest.mark.parametrize("recorded", [0, 1, 13, 29, 36])
def test_killed_while_it_asks(tmp_path, server, uninterrupted, recorded):
    rows = asked_rows(40)
    expected = uninterrupted(rows)
    server.script(latency=0.02)
    spec = priced(tmp_path, server, rows)
    child = start(spec)
    kill_when(child, lambda: journal_lines(spec) >= recorded and server.counts()["total"] > 0)
    is_whole(spec, server, rows, expected, extra=CONCURRENCY)


def test_killed_right_before_every_step_on_disk(tmp_path, server, uninterrupted):
    """Kills at every step from making the journal's folder to removing the journal, with segment and table between."""
    rows = asked_rows(6)
    expected = uninterrupted(rows)
    whole = priced(tmp_path / "whole", server, rows)
    assert finish(start(whole)) == 0, output_of(whole)
    steps = steps_of(whole)
    for wanted in ("os.mkdir /journals", "os.mkdir /segments", "os.rename", "os.remove /journals/shard"):
        assert any(step.startswith(wanted) for step in steps), (wanted, steps)
    for n in range(1, len(steps) + 1):
        server.script()
        spec = priced(tmp_path / f"step-{n}", server, rows)
        assert finish(start(spec, kill_at=n)) == -9, steps[n - 1]
        asked, recorded = server.counts()["total"], journal_lines(spec)
        sealed = len(list((tmp_path / f"step-{n}" / "responses" / "segments").glob("*.parquet")))
        assert asked == 0 or recorded == len(rows) or sealed, steps[n - 1]
        is_whole(spec, server, rows, expected, extra=0)


def test_killed_again_and_again_it_gets_there(tmp_path, server, uninterrupted):
    rows = asked_rows(60)
    expected = uninterrupted(rows)
    server.script(latency=0.02)
    spec = priced(tmp_path, server, rows)
    for recorded in (10, 25, 45):
        child = start(spec)
        kill_when(child, lambda enough=recorded: journal_lines(spec) >= enough)
    is_whole(spec, server, rows, expected, extra=3 * CONCURRENCY)


def test_after_a_kill_the_journal_may_end_in_half_a_line(tmp_path, server, uninterrupted):
    rows = asked_rows(30)
    expected = uninterrupted(rows)
    server.script(latency=0.02)
    spec = priced(tmp_path, server, rows)
    kill_when(start(spec), lambda: journal_lines(spec) >= 10)
    journal = Path(spec.responses) / "journals" / "shard.jsonl"
    lines = journal.read_bytes().splitlines(keepends=True)
    journal.write_bytes(b"".join(lines[:9]) + lines[9][:100])
    is_whole(spec, server, rows, expected, extra=CONCURRENCY + len(lines) - 9)


def test_the_worker_as_a_command_is_killed_and_resumed_and_never_loads_torch(tmp_path, server, uninterrupted):
    rows = asked_rows(24)
    expected = uninterrupted(rows)
    server.script(latency=0.05)
    spec = priced(tmp_path, server, rows)
    command = [sys.executable, "-X", "importtime", "-m", "distill_dagster.workers", "generate_shard"]
    options = {"stdin": subprocess.PIPE, "stdout": subprocess.DEVNULL, "cwd": Path(__file__).parents[2], "text": True}
    with (tmp_path / "imports").open("w") as imports:
        process = subprocess.Popen(command, stderr=imports, **options)
        process.stdin.write(spec.model_dump_json())
        process.stdin.close()
        while journal_lines(spec) < 8:
            assert process.poll() is None
            time.sleep(0.005)
        process.kill()
        assert process.wait() == -9
    loaded = {line.split("|")[-1].strip() for line in (tmp_path / "imports").read_text().splitlines()}
    assert "openai" in loaded
    assert not loaded & {"torch", "transformers", "scipy", "datasets", "dagster"}
    is_whole(spec, server, rows, expected, extra=CONCURRENCY)


def test_two_processes_with_one_shard_ask_everything_once(tmp_path, server, uninterrupted):
    rows = asked_rows(40)
    expected = uninterrupted(rows)
    server.script(latency=0.01)
    spec = priced(tmp_path, server, rows)
    children = [start(spec), start(spec), start(spec)]
    assert [finish(child) for child in children] == [0, 0, 0]
    assert lasting(table_of(spec)) == expected[1]
    is_whole(spec, server, rows, expected, extra=0)


def test_the_second_of_two_goes_on_where_the_first_one_was_killed(tmp_path, server, uninterrupted):
    rows = asked_rows(40)
    expected = uninterrupted(rows)
    server.script(latency=0.02)
    spec = priced(tmp_path, server, rows)
    first = start(spec)
    while journal_lines(spec) < 5:
        time.sleep(0.002)
    second = start(spec)
    kill_when(first, lambda: journal_lines(spec) >= 20)
    assert finish(second) == 0
    assert lasting(table_of(spec)) == expected[1]
    is_whole(spec, server, rows, expected, extra=CONCURRENCY)


def test_shards_of_one_project_are_generated_at_once(tmp_path, server):
    server.script(latency=0.01)
    specs = [priced(tmp_path, server, asked_rows(15, start=100 * n), name=f"shard-{n}") for n in range(3)]
    children = [start(spec) for spec in specs]
    assert [finish(child) for child in children] == [0, 0, 0]
    assert all(is_right(table_of(r), parquet.read_table(Path(r.rows))) for r in specs)
    assert server.counts()["total"] == 45
    assert Responses(Path(specs[0].responses)).spent() == DOLLARS * 45
