"""A report that has every section, over rows of the made-up support desk; all answers are made up from one seed."""

import json
from pathlib import Path
from random import Random
from typing import Any

from distill_dagster.config import SpeedConfig
from distill_dagster.demo.world import write_dataset
from distill_dagster.evaluation.items import item_scores
from distill_dagster.report.document import ReportDocument
from distill_dagster.report.earlier import Earlier
from distill_dagster.report.gold_student import GoldStudentScores
from distill_dagster.report.parts import ReportParts
from distill_dagster.report.specs import DataCost, Provenance
from distill_dagster.report.writing import build_report
from distill_dagster.tuning.specs import Trial
from testing.report_parts import benchmark, parts
from testing.timed import LATENCIES, made_rounds, made_speed, timed_model

TASKS = ("nli", "qa", "classification")
RIGHT = {"teacher": 0.96, "baseline": 0.3, "student": 0.92, "gold_student": 0.85, "earlier": 0.95}
NAMES = {"teacher": "llama-12M", "baseline": "llama-1.1M", "student": "support-desk", "gold_student": "support-gold"}
EXPORT = "gguf_q8_0"
NOISE = (1.0, 1.02, 0.98, 1.01, 0.99)


def full_report(folder: Path) -> ReportDocument:
    """The report, over rows that are written into `folder`."""
    write_dataset(folder, tasks=TASKS, train_rows=8, shards=1, validation_rows=4, test_rows=420)
    rows = [json.loads(line) for line in (folder / "test.jsonl").read_text().splitlines()]
    answers = {role: _answers(role, rows) for role in RIGHT}
    gold = answers["gold_student"]
    made = parts()
    return build_report(
        ReportParts(
            **made
            | {
                "project": "support-desk",
                "provenance": _provenance(),
                "predictions": {role: answers[role] for role in ("teacher", "baseline", "student")},
                "benchmarks": {
                    role: benchmark(role, answers[role], NAMES[role]) for role in ("teacher", "baseline", "student")
                },
                "speed": _speed(),
                "data_cost": DataCost(usd=1.25, seconds=93.0, rows=1200),
                "history": _history(),
            },
            rows=[{**row, "row_id": row["id"]} for row in rows],
            gold_student=GoldStudentScores(benchmark("gold_student", gold, NAMES["gold_student"]), gold, 1180, 1200),
            released=_earlier(answers["earlier"]),
            trials=_trials(),
            copied=[row["id"] for row in rows[:30]],
            shipped=EXPORT,
        )
    )


def _provenance() -> Provenance:
    def made(day: int, **about: Any) -> dict[str, Any]:
        return {"data_version": "3f8a" * 4, "created_at": f"2026-11-{day}T09:30:00+00:00", **about}

    return Provenance.model_validate({
        "name": "support-desk",
        "shards": 8,
        "teacher_model": made(25, model=NAMES["teacher"], revision="9b1c" * 10),
        "validated_synthetic_set": made(26, train=1140, validation=60),
        "student_base": made(25, model=NAMES["baseline"], revision="77d0" * 10),
        "student_checkpoint": made(27, model="support-desk", revision="c52e" * 10, train_rows=1140, loss="CE"),
        "eval_dataset": made(25, rows=420),
        "commit": "4f0a" * 10,
        "package": "0.2.0",
    })  # fmt: skip


def _answers(role: str, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The predictions of a role: right with its probability, else another row's answer to such a task."""
    draw = Random(role)
    golds = {task: sorted({row["reference"] for row in rows if row["task"] == task}) for task in TASKS}
    return [_prediction(role, row, draw.random() < RIGHT[role], draw.choice(golds[row["task"]])) for row in rows]


def _prediction(role: str, row: dict[str, Any], is_right: bool, other: str) -> dict[str, Any]:
    given = row["reference"] if is_right else other
    return {
        "row_id": row["id"],
        "turn": 0,
        "group": row["group"],
        "task": row["task"],
        "model": role,
        "prediction": f"Answer: {given}",
        "parsed": given,
        "reference": [row["reference"]],
        "score": float(given == row["reference"]),
        "finish_reason": "stop",
    }


def _earlier(rows: list[dict[str, Any]]) -> Earlier:
    items = [{"row_id": row_id, "student": score} for row_id, score in item_scores(rows).items()]
    return Earlier(items, "ab" * 20, "2026-11-20T10:00:00+00:00")


def _speed() -> Any:
    config = SpeedConfig(rounds=5, concurrency=[1, 8, 32])
    latencies = [{**{role: of * noise for role, of in LATENCIES.items()}, EXPORT: 2.5 * noise} for noise in NOISE]
    export = timed_model(EXPORT, engine="llama.cpp")
    return made_speed(made_rounds(latencies, config.concurrency), config, [export])


def _history() -> list[dict[str, float]]:
    """A loss that falls, with a validation loss at every fifth point."""
    losses = [{"step": 10 * (i + 1), "loss": 2.4 / (1 + 0.35 * i) + 0.1} for i in range(30)]
    found = [{"step": 50 * (i + 1), "validation_loss": 2.2 / (1 + 1.4 * i) + 0.25} for i in range(6)]
    return sorted([*losses, *found], key=lambda point: point["step"])


def _trials() -> list[Trial]:
    draw = Random(0)
    return [
        Trial(
            number=number,
            outcome="complete",
            point={"learning_rate": round(10 ** draw.uniform(-4, -2), 6), "batch_size": draw.choice([8, 16])},
            validation_loss=round(draw.uniform(0.3, 0.9), 4),
            losses=[1.2, 0.6],
            steps=300,
            seconds=40.0,
        )
        for number in range(8)
    ]
