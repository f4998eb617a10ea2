"""The processes of deploy/ are killed in turn during a backfill: all partitions are made, and none is asked twice."""

import pytest

from testing.api_project import SHARD_ROWS
from testing.killed_backfill import SHARDS, open_backfills
from testing.postgres import needs_postgres
from testing.waiting import PATIENCE

pytestmark = [
    pytest.mark.processes,
    pytest.mark.daemon,
    needs_postgres,
    pytest.mark.xdist_group("daemon-3"),
    pytest.mark.timeout(2 * PATIENCE),
]


def test_every_partition_is_made_and_nothing_is_asked_twice(tmp_path, fault_server):
    fault_server.script(latency=0.5)
    with open_backfills(tmp_path, fault_server) as backfills:
        for number, is_disturbed in enumerate((False, True)):
            fault_server.script(latency=0.5)
            backfills.make(number, is_disturbed=is_disturbed)
            assert not backfills.missing(number)
            asked = fault_server.counts()["by_prompt"]
            assert len(asked) == SHARDS * SHARD_ROWS
            assert set(asked.values()) == {1}
