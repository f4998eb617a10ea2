"""The clock sees how long this process waited for a core."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from distill_dagster.evaluation.speed import load
from distill_dagster.evaluation.speed.load import Clock

COUNTED = Path(f"/proc/self/task/{os.getpid()}/schedstat").is_file()
SHARED_CORE = """
import os, sys, threading
from distill_dagster.evaluation.speed.load import Clock
os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
child = os.fork()
if not child:  # two processes on one core, both busy
    while True:
        pass
start = Clock.now()
while Clock.now().cpu_s - start.cpu_s < 0.3:
    pass
took = Clock.now().since(start)
os.kill(child, 9)
print(took.wall_s, took.cpu_s, took.waited_s)
"""


@pytest.mark.processes
@pytest.mark.skipif(not COUNTED, reason="this kernel does not count how long threads wait")
def test_a_process_that_shares_its_core_waits_as_long_as_it_runs():
    said = subprocess.run([sys.executable, "-c", SHARED_CORE], capture_output=True, text=True, check=True).stdout
    wall, cpu, waited = map(float, said.split())
    assert (cpu + waited) / cpu > 1.5
    assert waited == pytest.approx(wall - cpu, rel=0.2)


def test_a_system_that_does_not_count_is_told_apart(monkeypatch, tmp_path):
    monkeypatch.setattr(load, "TASKS", tmp_path / "none")
    start = Clock.now()
    assert start.waited_s is None
    assert Clock.now().since(start).waited_s is None
    monkeypatch.setattr(load, "TASKS", tmp_path)
    assert Clock.now().waited_s is None
    monkeypatch.setattr(load, "SYSTEM", tmp_path / "stat")
    assert Clock.now().since(Clock.now()).others_s is None


def test_what_the_system_does_beside_this_process_is_counted(monkeypatch, tmp_path):
    stat = tmp_path / "stat"
    monkeypatch.setattr(load, "SYSTEM", stat)
    ticks = os.sysconf("SC_CLK_TCK")
    stat.write_text("cpu  0 0 0 5 5 0 0 0 0 0\ncpu0 0 0 0 5 5 0 0 0 0 0\n")
    start = Clock.now()
    stat.write_text(f"cpu  {2 * ticks} {ticks} {ticks} 900 900 {ticks} {ticks} 800 800 800\ncpu0 0 0 0 0 0 0 0 0 0 0\n")
    took = Clock.now().since(start)
    assert took.others_s == pytest.approx(6 - took.cpu_s, abs=0.01)
