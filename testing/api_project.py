"""A project whose teacher is an endpoint on loopback: shards of a dozen questions without gold answers."""

import json
from pathlib import Path

import dagster as dg

from distill_dagster.config.reading import load_config
from distill_dagster.lineage.project import Project
from distill_dagster.operations.runner import Outcome
from testing.projects import run_project, write_project

CONCURRENCY = 4
SHARD_ROWS = 12
ALL = 3 * SHARD_ROWS + 4  # rows that the teacher answers
HELD_OUT = 4  # rows that measure it


def write_rows(path: Path, numbers, gold: str | None = None) -> None:
    """A source file with a question for each number."""
    answer = {} if gold is None else {"reference": gold}
    rows = [{"id": f"row-{n}", "messages": [{"role": "user", "content": f"question <{n}>"}], **answer} for n in numbers]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


def write_api_project(folder: Path, server, shards: int = 3, test_gold: str | None = None, **changes) -> Path:
    """A project with the server as its teacher: shards of a dozen questions without gold answers.

    Without `test_gold`, the gold answer of the held-out rows, `run` and `check` refuse the stages that score.
    """
    endpoint = {
        "url": server.url,
        "model": "made",
        "concurrency": CONCURRENCY,
        "attempts": 1,
        **changes.pop("endpoint", {}),
    }
    teacher = {
        "endpoint": endpoint,
        "generation": {"max_new_tokens": 16},
        "smoke": {"rows": 0},
        **changes.pop("teacher", {}),
    }
    folder.mkdir(parents=True, exist_ok=True)
    own_tokenizer = {"student.model.tokenizer": "train"}
    path = write_project(folder, teacher=teacher, task="qa", **own_tokenizer, **changes)
    for old in (folder / "data").rglob("*.jsonl"):
        old.unlink()
    for n in range(shards):
        write_rows(folder / f"data/train/part-{n:02}.jsonl", range(SHARD_ROWS * n, SHARD_ROWS * (n + 1)))
    write_rows(folder / "data/validation.jsonl", range(900, 904))
    write_rows(folder / "data/test.jsonl", range(950, 954), test_gold)
    return path


def run_until_answers(path: Path, instance: dg.DagsterInstance) -> Outcome:
    """Let the teacher answer what it has not answered yet."""
    return run_project(load_config(path), instance, "teacher_outputs")


def answered_project(folder: Path, server, instance: dg.DagsterInstance) -> tuple[Path, Project]:
    """A project with answered shards: (path of its config, project)."""
    path = write_api_project(folder, server, test_gold="answer")
    outcome = run_until_answers(path, instance)
    assert not outcome.failed
    assert server.counts()["total"] == ALL
    return path, Project(load_config(path))
