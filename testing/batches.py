"""Shards that a batch server answers, killed and resumed."""

import json
from pathlib import Path

from distill_dagster.store import parquet
from distill_dagster.teachers.faculty import Faculty
from distill_dagster.teachers.responses import Responses
from testing.generation_contract import at, generate, is_right, kill_when, spec_for, start

PRICE = {"prompt": 0.0, "completion": 1_000_000, "batch_discount": 0.5}  # half a dollar a completion token
DOLLARS = 1.0  # "answer 4168220" has two tokens


def batched(folder, server, rows, price=PRICE, **changes):
    """The spec of a shard whose requests go to the server in batches."""
    endpoint = {"batch": True, "price": price, "attempts": 3, **changes.pop("endpoint", {})}
    return spec_for(folder, server, rows, faculty=Faculty(teachers=[(1.0, at(server, **endpoint))]), **changes)


def records_of(spec) -> list[Path]:
    """The records of batches under way."""
    return list((Path(spec.responses) / "batches").glob("*.json"))


def whole_after(spec, server, rows) -> None:
    """Resume; every row was sent in a batch once, and its reply is on disk once."""
    _, table = generate(spec)
    assert is_right(table, rows)
    assert {server.counts()["asked_in_batches"][row["messages"][-1]["content"]] for row in rows} == {1}
    assert server.counts()["total"] == 0
    assert Responses(Path(spec.responses)).spent() == DOLLARS * len(rows)
    assert generate(spec)[0].asked == 0


def held_batch(spec, server):
    """Kill a run as soon as it has recorded its batch, which goes on at the provider."""
    server.script(batch={"hold": True})
    kill_when(start(spec), lambda: any(json.loads(path.read_text())["batch_id"] for path in records_of(spec)))


def received_of(folder) -> list[str]:
    """The bodies of failed replies, as they were kept."""
    segments = sorted((folder / "responses" / "segments").glob("*.parquet"))
    return [reply["received"] for segment in segments for reply in parquet.read_table(segment) if reply["received"]]
