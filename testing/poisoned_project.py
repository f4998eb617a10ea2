"""A project whose teacher answers one shard badly, with each kind of bad answer at a known rate.

    train-part-00, -02   40 questions each, answered
    train-part-01        40 questions: 12 are declined, 9 end at the token limit, 2 repeat themselves, 17 are answered
    test                 4 questions with gold answers; the validation rows are taken from the shards

12 and 9 of 40 are more than the limits allow, 2 are not. An answer that is cut off holds what must not be handed on: an
address, a tag, and a link.
"""

import json
from pathlib import Path

import yaml

from testing.fault_server import FaultServer
from testing.models_tiny import write_model
from testing.projects import tiny_settings

SHARDS, ROWS, HELD_OUT = 3, 40, 4
POISONED = "train-part-01"
REFUSED, CUT_OFF, REPEATED = range(40, 52), range(52, 61), range(61, 63)
LIVE_TEXT = "Mail ana@example.org, or <script>go()</script> to http://evil.example.org/x and"
NO_SCORES = {"teacher_above_chance": "off"}  # the gold answers are made up
STUDENT = {"learning_rate": 1e-2, "epochs": 1, "batch_size": 64, "max_length": 128, "evaluations": 1}


def poison() -> list[dict]:
    """The rules that make the server answer like this."""
    says = {
        **{n: {"text": f"I'm sorry, but I can't help with that. ({n})"} for n in REFUSED},
        **{n: {"text": LIVE_TEXT, "finish_reason": "length"} for n in CUT_OFF},
        **{n: {"text": "It is so. " * 5} for n in REPEATED},
    }
    return [{"match": f"<{n}>", "fault": "say", **answer} for n, answer in says.items()]


def write_poisoned_project(folder: Path, server: FaultServer, **changes: object) -> Path:
    """Write the project, with automation on; returns its config's path."""
    train = folder / "data" / "train"
    train.mkdir(parents=True)
    for part in range(SHARDS):
        _write(train / f"part-{part:02}.jsonl", [_question(n) for n in range(ROWS * part, ROWS * (part + 1))])
    gold = {"role": "assistant", "content": "answer"}
    held_out = [_question(n) for n in range(900, 900 + HELD_OUT)]
    _write(folder / "data" / "test.jsonl", [{**row, "messages": [*row["messages"], gold]} for row in held_out])
    write_model(folder / "tiny-student")
    endpoint = {"url": server.url, "model": "made", "revision": "of May", "concurrency": 8, "attempts": 1}
    settings = tiny_settings(
        **{
            "data.validation": [],
            "teacher": {"endpoint": endpoint, "generation": {"max_new_tokens": 16}, "smoke": {"rows": 0}},
            "student": {"model": {"name": str(folder / "tiny-student")}, "training": STUDENT},
            "checks": {"min_teacher_rows": 5, "min_train_rows": 5, "severity": dict(NO_SCORES)},
            "automation": {"enabled": True, "observe_seconds": 5},
            "evaluation.latency_requests": 2,
            **changes,
        }
    )
    path = folder / "distill.yaml"
    path.write_text(yaml.safe_dump(settings))
    return path


def _question(number: int) -> dict:
    return {"id": f"row-{number}", "messages": [{"role": "user", "content": f"Question <{number}>?"}]}


def _write(path: Path, rows: list[dict]) -> None:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
