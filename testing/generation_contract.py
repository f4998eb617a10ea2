"""Answers shards with the fault server as the teacher, in this process or in a child that may be killed.

A child is forked from a server process that has imported everything, so that it starts in milliseconds and a test can
afford one for every step of a shard. It does the same as `python -m distill_dagster.workers generate_shard`.
"""

import contextlib
import io
import json
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from distill_dagster.config import EndpointConfig, GenerationConfig, SmokeConfig
from distill_dagster.generation.shard import generate_shard
from distill_dagster.generation.specs import GenerateResult, GenerateSpec
from distill_dagster.models.ref import ModelRef
from distill_dagster.store import files, hashing, parquet
from distill_dagster.teachers.faculty import Faculty, endpoint_ref
from testing.made_answers import answer_to
from testing.models_tiny import raw_row, write_rows

FORKS = multiprocessing.get_context("forkserver")
FORKS.set_forkserver_preload(["testing.generation_contract", "openai", "aiohttp", "distill_dagster.teachers.endpoint"])
STEPS = {"open", "os.mkdir", "os.rename", "os.remove"}  # audit events that change what is on disk
CONCURRENCY = 4


def at(server, **changes) -> ModelRef:
    settings = {"url": server.url, "model": "made", "concurrency": CONCURRENCY, "attempts": 1, **changes}
    return endpoint_ref(EndpointConfig(**settings))


def asked_rows(count: int, start: int = 0, task: str = "qa") -> list[dict]:
    return [asked_row(i, task=task) for i in range(start, start + count)]


def asked_row(number: int, row_id: str | None = None, task: str = "qa", reference: list[str] | None = None) -> dict:
    messages = [{"role": "user", "content": f"question <{number}>"}]
    return raw_row(row_id or f"row-{number}", messages, reference or [], task=task)


def spec_for(folder: Path, server, rows: list[dict], *, name: str = "shard", **changes) -> GenerateSpec:
    """The spec of a shard; its table goes to `folder/name`, replies to `folder/responses`."""
    out = folder / name
    out.mkdir(exist_ok=True, parents=True)
    fields = {
        "faculty": Faculty(teachers=[(1.0, at(server))]),
        "generation": GenerationConfig(max_new_tokens=16),
        "smoke": SmokeConfig(rows=0),
        "stop_failed_share": 1.0,
        "rows": write_rows(out / files.RAW_FILE, rows),
        "responses": str(folder / "responses"),
        "journal": name,
        "out": str(out),
    }
    return GenerateSpec(**{**fields, **changes})


def generate(spec: GenerateSpec) -> tuple[GenerateResult, list[dict]]:
    """Answer the shard in this process: its result and its teacher rows."""
    result = generate_shard(spec, "cpu")
    return result, table_of(spec)


def table_of(spec: GenerateSpec) -> list[dict]:
    return parquet.read_table(Path(spec.out) / files.TEACHER_FILE)


def lasting(rows: list[dict]) -> list[dict]:
    """Rows without the columns that differ between two equal runs."""
    return [{k: v for k, v in row.items() if k not in hashing.VOLATILE} for row in rows]


def is_right(rows: list[dict], raw: list[dict]) -> bool:
    """Whether every raw row has the server's answer, in the shard's order."""
    return [(row["row_id"], row["raw_text"]) for row in rows] == [
        (row["row_id"], answer_to(row["messages"])) for row in raw
    ]


def journal_lines(spec: GenerateSpec) -> int:
    path = Path(spec.responses) / "journals" / f"{spec.journal}.jsonl"
    with contextlib.suppress(FileNotFoundError):
        return path.read_bytes().count(b"\n")
    return 0


def start(spec: GenerateSpec, kill_at: int | None = None):
    """A child that answers the shard; `kill_at` kills it right before the step on disk with this number."""
    child = FORKS.Process(target=_generate_in_child, args=(spec.model_dump_json(), kill_at))
    child.start()
    return child


def finish(child, timeout: float = 60) -> int:
    """The child's exit code, negative if it was killed."""
    child.join(timeout)
    assert child.exitcode is not None, "the child hangs"
    return child.exitcode


def kill_when(child, condition) -> None:
    """Send SIGKILL as soon as the condition holds."""
    deadline = time.monotonic() + 60
    while not condition():
        assert child.is_alive(), f"ended with {child.exitcode} before it could be killed"
        assert time.monotonic() < deadline, "the condition never held"
        time.sleep(0.002)
    os.kill(child.pid, signal.SIGKILL)
    child.join()


def output_of(spec: GenerateSpec) -> str:
    """The output of a child."""
    return (Path(spec.out) / "output.txt").read_text()


def steps_of(spec: GenerateSpec) -> list[str]:
    """The steps on disk of a child."""
    return json.loads((Path(spec.out) / "steps.json").read_text())


def _generate_in_child(spec: str, kill_at: int | None) -> None:
    from distill_dagster import workers

    given = GenerateSpec.model_validate_json(spec)
    steps: list[str] = []

    def see(event: str, arguments: tuple) -> None:
        path = str(arguments[0]) if event in STEPS and arguments else ""
        if path.startswith((given.responses, given.out)) and "output.txt" not in path and "steps.json" not in path:
            steps.append(f"{event} {path.removeprefix(given.responses)}")
            if len(steps) == kill_at:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.stdin = io.StringIO(spec)
    with (Path(given.out) / "output.txt").open("w", buffering=1) as output:
        sys.stdout = sys.stderr = output
        sys.addaudithook(see)
        code = workers.main(["generate_shard"])
        (Path(given.out) / "steps.json").write_text(json.dumps(steps))
    os._exit(code)


@contextlib.contextmanager
def small_disk(folder: Path, size: str):
    """A folder on a disk of this size; yields `remount(options)`. Skips the test if this user may not mount a disk."""
    folder.mkdir(parents=True)
    mounted = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)]
    if not sys.platform.startswith("linux") or subprocess.run(mounted, capture_output=True).returncode:
        pytest.skip("only root can mount a small disk")

    def remount(options: str) -> None:
        subprocess.run(["mount", "-o", f"remount,{options}", str(folder)], check=True)

    try:
        yield remount
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)
