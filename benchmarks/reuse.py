"""One row of 10,000 is changed: what it costs to generate the shard again.

    one_changed_row_calls        requests that reach the server, by the server's own count
    one_changed_row_wall_share   wall time of the second run / of the first one

The server is a process of its own with a latency of 0.2 s, asked 64 times at once. Both runs are whole workers:
the raw table read, every request hashed and looked up, the teacher's table written.
"""

import tempfile
import time
from pathlib import Path

from distill_dagster.config import EndpointConfig, GenerationConfig
from distill_dagster.generation.shard import generate_shard
from distill_dagster.generation.specs import GenerateSpec
from distill_dagster.store import parquet, schemas
from distill_dagster.teachers.faculty import Faculty, endpoint_ref
from testing.fault_server import FaultServer

ROWS, LATENCY_S, IN_FLIGHT = 10_000, 0.2, 64
PROMPT = "Context: shop {n} sold {m} cups on Monday and twice as many on Tuesday. How many did it sell on Tuesday?"


def raw_row(n: int, extra: str = "") -> dict:
    """A row of `records.RAW`; `extra` changes its prompt."""
    return {
        "row_id": f"row-{n}",
        "shard": "train",
        "split": "train",
        "task": "qa",
        "messages": [{"role": "user", "content": PROMPT.format(n=n, m=n % 97) + extra}],
        "reference": [str(2 * (n % 97))],
        "group": None,
        "source_line": n + 1,
        "meta": "{}",
    }


def seconds_to_generate(folder: Path, url: str, table: list[dict]) -> float:
    """Wall time of a shard."""
    parquet.write_table(folder / "raw.parquet", table, schemas.RAW)
    endpoint = EndpointConfig(url=url, model="made", concurrency=IN_FLIGHT)
    request = GenerateSpec(
        faculty=Faculty(teachers=[(1.0, endpoint_ref(endpoint))]),
        generation=GenerationConfig(max_new_tokens=64),
        rows=str(folder / "raw.parquet"),
        responses=str(folder / "responses"),
        journal="train",
        out=str(folder),
    )
    started = time.perf_counter()
    produced = generate_shard(request, "cpu")
    assert produced.counts.ok == len(table)
    return time.perf_counter() - started


def measure() -> dict[str, float]:
    """Calls and seconds of both runs."""
    table = [raw_row(n) for n in range(ROWS)]
    with tempfile.TemporaryDirectory() as folder, FaultServer() as server:
        server.script(latency=LATENCY_S)
        cold = seconds_to_generate(Path(folder), server.url, table)
        server.script(latency=LATENCY_S)
        table[ROWS // 2] = raw_row(ROWS // 2, " Answer with a number.")
        warm = seconds_to_generate(Path(folder), server.url, table)
        calls = server.counts()["total"]
    return {
        "one_changed_row_calls": calls,
        "one_changed_row_cold_s": cold,
        "one_changed_row_wall_s": warm,
        "one_changed_row_wall_share": warm / cold,
    }
