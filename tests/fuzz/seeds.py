"""Bytes to begin with, for each target: small files as the project itself writes them, and odd ones."""

import gzip
import io
import json
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import zstandard

ROW = {"id": "a", "messages": [{"role": "user", "content": "2 + 2?"}, {"role": "assistant", "content": "4"}]}
LINES = b"".join(
    json.dumps(row).encode() + b"\n"
    for row in (
        ROW,
        {"question": "2 + 2?", "answer": "4", "context": "sums"},
        {"instruction": "Add.", "input": "2 + 2", "output": "4"},
        {"conversations": [{"from": "human", "value": "Hi"}, {"from": "gpt", "value": "Hello"}]},
        {"prompt": "2 + 2?", "completion": "4"},
        {"system": [{"text": "s"}], "messages": [{"role": "user", "content": [{"text": "Hi"}]}]},
    )
)
COMPLETION = {
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "4"}, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 12, "completion_tokens": 2, "prompt_tokens_details": {"cached_tokens": 8}},
}
MANIFEST = {
    "asset": "teacher_outputs",
    "shard": "a",
    "fingerprint": "0" * 64,
    "data_version": "1" * 64,
    "inputs": {"raw_dataset": "2" * 64},
    "counts": {"rows": 1, "requests": 1, "ok": 1, "failed": 0, "truncated": 0, "unparsed": 0, "chosen": 1},
    "facts": {
        **{"teacher": "made", "teachers": {"made": 1}, "asked": 1, "reused": 0, "prompt_tokens": 1},
        **{"completion_tokens": 1, "cost_usd": 0.1, "seconds": 1.0, "tokens_per_second": 1.0, "table_cost_usd": 0.1},
        **{"errors": {}, "answer_length": {"answers": 1, "median": 1.0}, "device": "cpu", "dtype": "float32"},
    },
    "files": {},
    "version": "000000000000-abcd",
    "created_at": "2026-01-01T00:00:00+00:00",
    "complete": True,
}
REPLY = {
    "request_hash": "00",
    "text": "4",
    "finish_reason": "stop",
    "cost_usd": 0.1,
    "created_at": "2026-01-01T00:00:00",
}
CONFIG = b"""name: tickets
task: qa
data: {train: data/train/*.jsonl, test: data/test.jsonl}
teacher:
  endpoint: {url: "https://api.example.com/v1", model: made, api_key: KEY, price: {prompt: 2.5, completion: 10}}
  generation: {temperature: 0, max_new_tokens: 16}
student:
  model: {name: /models/student}
  training: {learning_rate: 2.0e-5, epochs: 3}
quality: {labels: [yes, 1.10]}
compute: {train: {gpus: 1, memory_gb: 32}}
"""


def _parquet() -> bytes:
    buffer = io.BytesIO()
    pq.write_table(pa.Table.from_pylist([ROW, ROW]), buffer)
    return buffer.getvalue()


def _bytes(value: Any) -> bytes:
    return json.dumps(value, allow_nan=False).encode()


def seeds() -> dict[str, list[bytes]]:
    """Target -> the bytes that it begins with."""
    stream = b"data: " + _bytes({"choices": [{"delta": {"content": "4"}}]}) + b"\n\ndata: [DONE]\n\n"
    error = _bytes({"error": {"message": "Rate limit reached, try again in 2m3.5s", "code": "rate_limit_exceeded"}})
    return {
        "source": [
            b"\x00" + LINES,
            b"\x01[" + _bytes(ROW) + b"]",
            b"\x02" + _parquet(),
            b"\x03" + gzip.compress(LINES),
            b"\x04" + zstandard.compress(LINES),
        ],
        "row": [LINES, LINES.decode().encode("utf-16"), b'{"a": 1, "a": 2}\n[]\n"x"\nnull\n'],
        "reply": [_bytes(COMPLETION), stream, b"<html>", b'{"choices": []}', error],
        "refusal": [b"\x1d20\n" + error, b"\x01\n{}", b"\x67Fri, 31 Dec 1999 23:59:59 GMT\noverloaded"],
        "journal": [_bytes(REPLY) + b"\n", _bytes(REPLY) + b"\n{}\n"],
        "manifest": [_bytes(MANIFEST)],
        "logits": [bytes([8, 8, 0, 0]), bytes([2, 3, 100, 0]) + bytes(60), bytes([2, 3, 100, 63]) + bytes(range(60))],
        "config": [CONFIG, b"task: qa\n", b"a: &a [*a]\n", b"? {a: b}\n: c\n"],
        "report": [b'{"schema_version": 2}', b'{"schema_version": 99}', b"{}"],
    }
