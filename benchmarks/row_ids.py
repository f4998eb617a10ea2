"""How long the check `ids_differ` of every shard takes in a first run, and whether that is linear in the shards.

    ids_differ_s_250_shards       the checks of all shards, 50 rows each, one after another
    ids_differ_s_1000_shards
    ids_differ_1000_vs_250        4 if it is linear

Each check takes a snapshot of its own and opens the file of ids, as it does in a Dagster run.
"""

import tempfile
import time
from pathlib import Path

from benchmarks.listing import publish, write_sources
from distill_dagster.checks.row_ids import CHECKS
from distill_dagster.lineage.snapshot import Snapshot, shared
from distill_dagster.store import files, parquet, schemas

SIZES, ROWS = (250, 1_000), 50


def measure() -> dict[str, float]:
    """Seconds of all checks over stores of two sizes, and their ratio."""
    small, large = (_seconds(shards) for shards in SIZES)
    return {
        f"ids_differ_s_{SIZES[0]}_shards": small,
        f"ids_differ_s_{SIZES[1]}_shards": large,
        f"ids_differ_{SIZES[1]}_vs_{SIZES[0]}": large / small,
    }


def _seconds(shards: int) -> float:
    (check,) = CHECKS
    with tempfile.TemporaryDirectory() as folder:
        project = write_sources(Path(folder), shards)
        look, spent = Snapshot(project), 0.0
        with shared(look):
            for shard in look.shards:
                table = Path(folder) / f"{shard}.parquet"
                parquet.write_table(table, [_row(shard, number) for number in range(ROWS)], schemas.RAW)
                publish(look, "raw_dataset", shard, {files.RAW_FILE: table})
                started = time.perf_counter()
                assert check.run(Snapshot(project), shard).passed
                spent += time.perf_counter() - started
    return spent


def _row(shard: str, number: int) -> dict[str, object]:
    messages = [{"role": "user", "content": f"What is {number} of {shard}?"}]
    origin = {"shard": shard, "split": "train", "task": "qa", "source_line": number + 1}
    return {"row_id": f"{shard}-{number}", "messages": messages, "reference": [], **origin}
