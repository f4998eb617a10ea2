"""The memory of a process is measured where the kernel keeps a high-water mark, and where it does not."""

import time

from distill_dagster import process


def test_memory_is_sampled_where_the_kernel_keeps_no_high_water_mark(monkeypatch):
    def touch() -> int:
        with process.watch_memory() as peak:
            block = bytearray(b"x" * 200_000_000)
            time.sleep(0.05)
            del block
        assert ("sampled" in peak.how) == (process._reset_high_water is refuse)
        return peak.growth

    def refuse() -> bool:
        return False

    if process._reset_high_water():
        assert 150_000_000 < touch() < 600_000_000
    monkeypatch.setattr(process, "_reset_high_water", refuse)
    assert 150_000_000 < touch() < 600_000_000
