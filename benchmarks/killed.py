"""How much longer a backfill of deploy/'s processes takes if they are killed, on PostgreSQL.

    backfill_s                          six shards of 12 rows, left alone
    backfill_killed_s                   as many, while code server, daemon, web server and PostgreSQL are killed in turn
    backfill_killed_vs_undisturbed      the ratio; at most 2.5 is wanted

The two alternate, and medians are reported. A server on loopback answers after half a second. Without PostgreSQL's
programs (`make servers`), the keys are left out.
"""

import statistics
import sys
import tempfile
import time
from pathlib import Path

from testing.fault_server import FaultServer
from testing.killed_backfill import Backfills, open_backfills
from testing.postgres import why_no_postgres

ROUNDS = 3


def measure() -> dict[str, float]:
    """Seconds, and their ratio."""
    if problem := why_no_postgres():
        print(f"killed: nothing is measured: {problem}", file=sys.stderr)
        return {}
    with tempfile.TemporaryDirectory() as folder, FaultServer() as server:
        server.script(latency=0.5)
        with open_backfills(Path(folder), server, backfills=2 * ROUNDS) as backfills:
            found = [_seconds(backfills, number, bool(number % 2)) for number in range(2 * ROUNDS)]
    alone, killed = statistics.median(found[::2]), statistics.median(found[1::2])
    return {"backfill_s": alone, "backfill_killed_s": killed, "backfill_killed_vs_undisturbed": killed / alone}


def _seconds(backfills: Backfills, number: int, is_disturbed: bool) -> float:
    started = time.perf_counter()
    backfills.make(number, is_disturbed=is_disturbed)
    assert not backfills.missing(number)
    return time.perf_counter() - started
