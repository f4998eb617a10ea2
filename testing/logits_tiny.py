"""Hand-written teacher rows, as in teacher.parquet, and a capture of them."""

from datetime import UTC, datetime
from pathlib import Path

from distill_dagster.config import LogitsConfig
from distill_dagster.logits.shard import capture_logits
from distill_dagster.logits.specs import CaptureSpec
from distill_dagster.logits.table import read_logits
from distill_dagster.models.ref import ModelRef
from distill_dagster.store import files, parquet, schemas
from testing.models_tiny import write_rows


def teacher_row(ref: ModelRef, row_id: str, text: str | None, **changes) -> dict:
    row = {
        "row_id": row_id,
        "sample": 0,
        "turn": 0,
        "request_hash": "",
        "teacher": ref.name,
        "teacher_revision": ref.revision,
        "params": "{}",
        "raw_text": text,
        "reasoning": None,
        "answer": text,
        "agreement": None,
        "chosen": True,
        "finish_reason": "stop",
        "prompt_tokens": 0,
        "completion_tokens": 0,
        "latency_ms": 0.0,
        "cost_usd": 0.0,
        "attempts": 1,
        "status": "ok",
        "error_code": None,
        "logprobs": None,
        "created_at": datetime.now(UTC),
    }
    return {**row, **changes}


def capture(folder: Path, ref: ModelRef, raw: list[dict], answers: list[dict] | Path, **settings):
    """Capture answers to raw rows; returns (result, logits rows by key, rejects)."""
    if isinstance(answers, list):
        path = folder / files.TEACHER_FILE
        parquet.write_table(path, answers, schemas.TEACHER)
        answers = path
    spec = CaptureSpec(
        model=ref,
        logits=LogitsConfig(**{"k": 8, "batch_tokens": 256, **settings}),
        rows=write_rows(folder / files.RAW_FILE, raw),
        answers=str(answers),
        out=str(folder),
    )
    result = capture_logits(spec, "cpu")
    rows = list(read_logits(folder / files.LOGITS_FILE))
    return result, {row.key: row for row in rows}, parquet.read_table(folder / files.REJECTS_FILE)
