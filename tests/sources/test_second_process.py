"""A long file that two processes read gives the same tables as one process does."""

import json
import os
import signal

import psutil
import pytest

from distill_dagster.config import DataConfig
from distill_dagster.sources.files.discovery import SourceFile
from distill_dagster.sources.judging import second_process, verdicts
from distill_dagster.sources.judging.raw_tables import RawTables
from distill_dagster.sources.judging.verdicts import SourceReading
from distill_dagster.store import files, hashing, parquet

pytestmark = pytest.mark.processes


@pytest.fixture
def source(tmp_path, monkeypatch):
    """Rows in batches of 50; some are invalid and some are repeated."""
    monkeypatch.setattr(verdicts, "BATCH_ROWS", 50)
    texts = [" " if n % 7 == 0 else f"question {n % 1500}" for n in range(3000)]
    rows = [{"messages": [{"role": "user", "content": text}], "reference": str(n % 5)} for n, text in enumerate(texts)]
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return SourceFile("rows", "train", str(tmp_path / "rows.jsonl"))


def produce(source, out):
    with RawTables(out) as tables:
        tables.write(SourceReading(source, DataConfig(train="x", test="x"), "qa"))
    return tables.result(), [parquet.read_table(out / name) for name in (files.RAW_FILE, files.REJECTS_FILE)]


def children():
    """The second processes that this one started; children of other tests do not count."""
    return [
        child
        for child in psutil.Process().children()
        if "distill_dagster.sources.judging.second_process" in child.cmdline()
    ]


@pytest.fixture
def eager(monkeypatch):
    """A second process that starts at once and is waited for; (batches that it got, handles)."""
    monkeypatch.setattr(second_process, "LONG_FILE", 0)
    monkeypatch.setattr(second_process, "_cores", lambda: 2)
    sent, made = [], []
    is_ready, send = second_process.SecondProcess._is_ready, second_process.SecondProcess._send

    def wait(self):
        made.append(self)
        while not is_ready(self):
            pass
        return True

    def count(self, value):
        sent.extend(value if isinstance(value, list) else [])
        send(self, value)

    monkeypatch.setattr(second_process.SecondProcess, "_is_ready", wait)
    monkeypatch.setattr(second_process.SecondProcess, "_send", count)
    return sent, made


def test_two_processes_make_what_one_makes(source, tmp_path, eager):
    sent, _ = eager
    two = produce(source, tmp_path)
    assert second_process.SHARE <= len(sent) < 60, "some of the batches, as many as it was free for"
    assert children() == []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(second_process, "LONG_FILE", 10**9)
        one = produce(source, tmp_path)
    assert two == one
    assert two[0].data_version == hashing.rows_hash(two[1][0])
    assert two[0].counts.by_code["E010"] == 429
    assert two[0].counts.by_code["E011"] > 1000


def test_a_reader_that_stops_early_leaves_no_process(source, eager):
    batches = iter(SourceReading(source, DataConfig(train="x", test="x"), "qa"))
    next(batches)
    assert len(children()) == 1
    batches.close()
    assert children() == []


def test_a_second_process_that_is_killed_is_an_error_and_not_a_shorter_table(source, eager):
    _, made = eager
    batches = iter(SourceReading(source, DataConfig(train="x", test="x"), "qa"))
    next(batches)
    os.kill(made[0]._process.pid, signal.SIGKILL)
    with pytest.raises(RuntimeError, match="ended with code -9"):
        list(batches)
    assert children() == []


def test_a_short_file_and_a_single_core_need_no_second_process(source, tmp_path, monkeypatch):
    monkeypatch.setattr(second_process, "SecondProcess", None)
    produce(source, tmp_path)
    monkeypatch.setattr(second_process, "LONG_FILE", 0)
    monkeypatch.setattr(second_process, "_cores", lambda: 1)
    produce(source, tmp_path)
