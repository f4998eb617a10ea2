"""What a report is made from, without models: predictions, benchmarks and where they come from."""

from distill_dagster.config import EvaluationConfig
from distill_dagster.evaluation.benchmark import score_predictions
from distill_dagster.evaluation.specs import Benchmark
from distill_dagster.report.costs import Costs, Spent, StageTime
from distill_dagster.report.funnel import Funnel
from distill_dagster.report.specs import DataCost, Provenance
from testing.timed import SIZES, made_speed

CONFIG = EvaluationConfig(resamples=1000, retention_target=0.9)


def predictions(role: str, scores, text: str = "x") -> list[dict]:
    """Predictions of a role with these scores; `text` is in every text."""
    return [
        {
            "row_id": f"{text}-{i}", "turn": 0, "task": "nli", "model": role, "prediction": f"{text} {score}",
            "parsed": "neutral" if score else None, "reference": ["neutral"], "score": float(score),
            "finish_reason": "stop",
        }
        for i, score in enumerate(scores)
    ]  # fmt: skip


def benchmark(role: str, rows: list[dict], name: str | None = None) -> Benchmark:
    """The benchmark document of these predictions."""
    return Benchmark.model_validate({
        "role": role,
        "model": {"name": name or role, "revision": "0", "dtype": "auto", "parameters": SIZES[role]},
        **score_predictions(rows, CONFIG).model_dump(),
        **{"rows": len(rows), "predictions": len(rows), "unparsable": 0, "truncated": 0, "failed": 0, "unscored": 0},
        **{"max_new_tokens": 8, "prompting": "plain"},
        "parameters": SIZES[role], "bytes_on_disk": 4 * SIZES[role], "dtype": "float32",
        "device": "cpu",
        "versions": {"torch": "2.13.0"},
    })  # fmt: skip


def provenance(text: str, name: str | None) -> Provenance:
    """Where the three models come from."""
    model = {"data_version": "0123", "created_at": "2026-01-01", "model": name or "a model", "revision": 16 * "a1"}
    rows = {"data_version": "4567", "created_at": "2026-01-02", "rows": 1234, text: 1}
    return Provenance.model_validate(
        {
            "name": name or "demo",
            "shards": 8,
            **dict.fromkeys(("teacher_model", "student_base", "student_checkpoint"), model),
            **dict.fromkeys(("validated_synthetic_set", "eval_dataset"), rows),
        }
    )


FUNNEL = Funnel(
    source_rows=1250,
    refused_rows={"E001": 4, "E011": 6},
    rows=1240,
    rows_asked=1240,
    requests=1240,
    failed=2,
    truncated=3,
    unparsed=5,
    chosen=1240,
    answers=1240,
    refused_answers={"failed": 2, "truncated": 3, "off_form": 5, "duplicate_prompt": 30},
    examples=1200,
    train=1140,
    validation=60,
)
COSTS = Costs(
    spent=[
        Spent(what="the teacher's answers", billing="priced", usd=1.25),
        Spent(what="the teacher's benchmark", billing="no price", usd=None),
        Spent(what="the timing of the models", billing="local", usd=None),
    ],
    times=[
        StageTime(stage="raw_dataset", artefacts=8, seconds=1.5, gpu_seconds=0, devices=["cpu"]),
        StageTime(stage="student_checkpoint", artefacts=1, seconds=100.0, gpu_seconds=200.0, devices=["cuda:0"]),
    ],
)
HYPERPARAMETERS = [("objective", "CE"), ("learning_rate", "0.01"), ("steps", "20")]


def parts(text: str = "x", name: str | None = None) -> dict:
    """The fields of a `ReportParts`: 100 items; the teacher has 95 right, and the student 93."""
    scores = {"teacher": [1] * 95 + [0] * 5, "student": [1] * 92 + [0] * 7 + [1], "baseline": [0] * 70 + [1] * 30}
    rows = {role: predictions(role, values, text) for role, values in scores.items()}
    return {
        "project": name or "demo",
        "benchmarks": {role: benchmark(role, found, name) for role, found in rows.items()},
        "predictions": rows,
        "evaluation": CONFIG,
        "speed": made_speed(),
        "data_cost": DataCost(usd=None, seconds=12.0, rows=1200),
        "funnel": FUNNEL,
        "costs": COSTS,
        "hyperparameters": HYPERPARAMETERS,
        "provenance": provenance(text, name),
        "history": [{"step": 10, "loss": 2.0}, {"step": 20, "validation_loss": 1.5}, {"step": 20, "loss": 1.0}],
    }
