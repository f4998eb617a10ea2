"""Turns of source rows in the words of their formats, and the verdict on a row."""

import contextlib
import json

from distill_dagster.config import DataConfig
from distill_dagster.errors import DataError
from distill_dagster.sources.files.discovery import SourceFile
from distill_dagster.sources.judging.verdicts import SourceReading

TOOL = {"type": "function", "function": {"name": "add", "parameters": {}}}
CALL = {"id": "1", "type": "function", "function": {"name": "add", "arguments": "{}"}}


def s(text):
    """The system message."""
    return {"role": "system", "content": text}


def u(text, **more):
    """A turn of the user."""
    return {"role": "user", "content": text, **more}


def a(text, **more):
    """A turn of the assistant."""
    return {"role": "assistant", "content": text, **more}


def gpt(*turns):
    """Turns as ShareGPT writes them."""
    return [{"from": who, "value": text} for who, text in turns]


def judge(tmp_path, row, task="qa", split="test", **options):
    """Judge a file of this row; returns (valid rows, rejects)."""
    path = tmp_path / "rows.jsonl"
    path.write_text(json.dumps(row) + "\n")
    data = DataConfig(train="x", test="x", **options)
    reading = SourceReading(SourceFile("rows", split, str(path)), data, task)
    rows, rejects = [], []
    with contextlib.suppress(DataError):  # of a file without a valid row, after its rejects
        for batch in reading:
            rows += batch.rows.to_pylist()
            rejects += batch.rejects
    return rows, rejects
