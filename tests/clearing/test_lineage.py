"""Over real runs: the reply to a row that is gone goes; a row that is there, wherever it moved, costs nothing."""

import subprocess

import pytest

from distill_dagster.config.reading import load_config
from distill_dagster.lineage.project import Project
from distill_dagster.lineage.snapshot import Snapshot
from distill_dagster.planning.plan import make_plan
from testing.api_project import ALL, SHARD_ROWS, answered_project, run_until_answers, write_rows
from testing.clearing import LATER, MUCH_LATER, clear
from testing.dev_server import COMMAND, environment

pytestmark = pytest.mark.processes


def test_replies_of_a_removed_shard_go_and_those_of_moved_rows_stay(tmp_path, server, instance):
    path, project = answered_project(tmp_path, server, instance)
    train = path.parent / "data/train"
    gone, moved = range(12, 20), range(20, 24)
    (train / "part-01.jsonl").unlink()
    write_rows(train / "part-02.jsonl", [*range(24, 36), *moved])
    assert not run_until_answers(path, instance).failed
    assert server.counts()["total"] == ALL, "a moved row costs nothing"
    lots = clear(project, LATER)
    assert sum(lot.count for lot in lots if lot.kind == "reply") == 0
    lots = clear(project, MUCH_LATER)
    assert [lot.count for lot in lots if lot.kind == "reply"] == [len(gone)]
    assert sum(shard.new for shard in make_plan(Snapshot(project)).shards if shard.shard != "all") == 0
    changed = path.read_text().replace("max_new_tokens: 16", "max_new_tokens: 15")
    assert changed != path.read_text()
    path.write_text(changed)
    other = Project(load_config(path))
    assert not run_until_answers(path, instance).failed
    asked = server.counts()["total"]
    assert asked == ALL + ALL - len(gone), "another setting asks for every row"
    assert [lot.count for lot in clear(other, MUCH_LATER) if lot.kind == "reply"] in ([], [0])
    path.write_text(changed.replace("max_new_tokens: 15", "max_new_tokens: 16"))
    assert not run_until_answers(path, instance).failed
    assert server.counts()["total"] == asked, "back again, no present row is asked again"
    write_rows(train / "part-01.jsonl", range(12, 12 + SHARD_ROWS))
    assert not run_until_answers(path, instance).failed
    assert server.counts()["total"] == asked + len(gone)


def test_a_run_and_clearing_at_once(tmp_path, server, instance):
    path, project = answered_project(tmp_path, server, instance)
    for n in range(3):
        first = 200 + SHARD_ROWS * n
        write_rows(path.parent / f"data/train/part-{n:02}.jsonl", range(first, first + SHARD_ROWS))
    clear(project, LATER)
    server.script(latency=0.05)
    command = [*COMMAND, "run", "--config", str(path), "--until", "teacher_outputs"]
    with path.with_name("run.log").open("wb") as log:
        run = subprocess.Popen(command, stdout=log, stderr=log, env=environment())
    lots = []
    while run.poll() is None:
        lots += clear(project, MUCH_LATER)
    assert run.returncode == 0, path.with_name("run.log").read_text()
    lots += clear(project, MUCH_LATER)
    assert sum(lot.count for lot in lots if lot.kind == "reply") == 3 * SHARD_ROWS, "those of the old rows"
    assert sum(lot.count for lot in lots if lot.kind == "version" and not lot.why) == 2 * 3, "rows and answers"
    asked = server.counts()["by_prompt"]
    assert {text: asked.get(text) for text in (f"question <{n}>" for n in range(200, 236))} == dict.fromkeys(
        (f"question <{n}>" for n in range(200, 236)), 1
    )
    assert all(project.store.get("teacher_outputs", shard).complete for shard in Snapshot(project).shards)
