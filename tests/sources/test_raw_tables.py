"""The tables that are written while files are read: complete or not published, with the hash of their rows."""

import json
import tracemalloc

import pyarrow.parquet as pq
import pytest

from distill_dagster.config import DataConfig
from distill_dagster.config.reading import load_config
from distill_dagster.errors import DataError
from distill_dagster.lineage.project import Project
from distill_dagster.lineage.snapshot import Snapshot
from distill_dagster.sources.files.discovery import SourceFile
from distill_dagster.sources.judging import verdicts
from distill_dagster.sources.judging.raw_tables import RawTables, read_rows
from distill_dagster.sources.judging.verdicts import SourceReading
from distill_dagster.sources.specs import ReadSpec
from distill_dagster.store import files, hashing, parquet
from testing.projects import write_project

DATA = DataConfig(train="x", test="x")


def line(n, **more):
    return json.dumps({"messages": [{"role": "user", "content": f"question {n}"}], **more}) + "\n"


def produce(folder, text, **options):
    (folder / "rows.jsonl").write_text(text)
    source = SourceFile("rows", "train", str(folder / "rows.jsonl"))
    with RawTables(folder) as tables:
        tables.write(SourceReading(source, DATA.model_copy(update=options), "qa"))
    return tables.result()


def tables_of(folder):
    return [parquet.read_table(folder / name) for name in (files.RAW_FILE, files.REJECTS_FILE)]


MIXED = "".join(
    line(n) if n % 3 else ["{}\n", line(n - 1), line(n + 1, id=f"é {n}", reference=["x", 2.5], lang="en")][n % 9 // 3]
    for n in range(300)
)


@pytest.mark.parametrize("batch", [1, 7, 100, 2_000])
def test_batches_change_nothing(tmp_path, monkeypatch, batch):
    whole = produce(tmp_path, MIXED)
    rows, rejects = tables_of(tmp_path)
    monkeypatch.setattr(verdicts, "BATCH_ROWS", batch)
    monkeypatch.setattr(parquet, "ROWS_PER_GROUP", 60)
    assert produce(tmp_path, MIXED) == whole
    assert tables_of(tmp_path) == [rows, rejects]
    assert whole.data_version == hashing.rows_hash(rows)
    assert sorted([r["source_line"] for r in rows] + [r["line"] for r in rejects]) == list(range(1, 301))
    assert whole.counts.rows == len(rows)
    assert whole.counts.rejected == len(rejects) == whole.counts.by_code["E002"] + whole.counts.by_code["E011"]
    facts = {"tasks": {"qa": len(rows)}, "with_reference": sum(bool(r["reference"]) for r in rows)}
    assert whole.parts()[1] == facts, "and nothing of a device"


def test_row_groups_have_at_most_so_many_rows_and_end_early_where_rows_are_long(tmp_path, monkeypatch):
    monkeypatch.setattr(parquet, "ROWS_PER_GROUP", 60)
    produce(tmp_path, "".join(line(n) for n in range(200)))
    groups = pq.ParquetFile(tmp_path / files.RAW_FILE).metadata
    assert [groups.row_group(i).num_rows for i in range(groups.num_row_groups)] == [60, 60, 60, 20]
    monkeypatch.setattr(parquet, "BYTES_PER_GROUP", 1000)
    monkeypatch.setattr(verdicts, "BATCH_BYTES", 500)
    produce(tmp_path, "".join(line(n) for n in range(200)))
    assert pq.ParquetFile(tmp_path / files.RAW_FILE).metadata.num_row_groups > 10


@pytest.mark.slow
def test_memory_does_not_grow_with_the_file(tmp_path):
    def peak(count):
        text = "".join(line(n, note="x" * 400) for n in range(count))
        (tmp_path / "rows.jsonl").write_text(text)
        source = SourceFile("rows", "train", str(tmp_path / "rows.jsonl"))
        tracemalloc.start()
        with RawTables(tmp_path) as tables:
            tables.write(SourceReading(source, DATA, "qa"))
        (_, highest), _ = tracemalloc.get_traced_memory(), tracemalloc.stop()
        return highest, len(text)

    peak(2_000)  # imports, caches
    (small, _), (large, size) = peak(6_000), peak(24_000)
    assert size > 10_000_000
    assert (
        large < small + 48 * 18_000 * 2 + 500_000
    )  # the bytes of a row in duplicates.py, twice while tables are merged


def spec_of(project, sources, out):
    config = project.config
    return ReadSpec(files=sources, data=config.data, task=config.task, unique_ids=True, out=str(out))


def test_a_shard_without_a_valid_row_fails_and_is_not_published(tmp_path):
    project = Project(load_config(write_project(tmp_path)))
    part = tmp_path / "data" / "train" / "part-01.jsonl"
    part.write_text("{}\n" * 5_000)
    with pytest.raises(DataError, match=r"none of 5,000 rows is valid, read as chat \(E002 5,000\)"):
        project.store.publish(
            "raw_dataset",
            "train-part-01",
            fingerprint="f",
            inputs={},
            make=lambda out, _: read_rows(spec_of(project, [Snapshot(project).source("train-part-01")], out), "cpu"),
        )
    assert project.store.find("raw_dataset", "train-part-01") is None
    assert [p.name for p in project.store.folder("raw_dataset", "train-part-01").iterdir()] == [".lock"]


def test_several_test_files_are_one_table_and_their_ids_differ(tmp_path):
    config = load_config(write_project(tmp_path, **{"data.test": "data/tests/*.jsonl"}))
    folder = tmp_path / "data" / "tests"
    folder.mkdir()
    (folder / "a.jsonl").write_text(line(1, id="a") + "{}\n")
    (folder / "b.jsonl").write_text(line(2, id="b") + line(3))
    project = Project(config)
    spec = spec_of(project, Snapshot(project).test_sources, tmp_path)
    produced = read_rows(spec, "cpu")
    assert produced.counts.model_dump() == {"lines": 4, "rows": 3, "rejected": 1, "E002": 1}
    rows, _ = tables_of(tmp_path)
    assert [(r["shard"], r["row_id"]) for r in rows][:2] == [("test-a", "a"), ("test-b", "b")]
    assert produced.data_version == hashing.rows_hash(rows)
    (folder / "b.jsonl").write_text(line(2, id="a"))
    with pytest.raises(DataError, match="'a' is in test-a and in test-b"):
        read_rows(spec, "cpu")


def test_the_worker_reads_a_spec_that_has_travelled_as_json(tmp_path):
    for name in "ab":
        (tmp_path / f"{name}.jsonl").write_text(line(name, id=name) + line(name, id="same"))
    sources = [SourceFile(name, "train", str(tmp_path / f"{name}.jsonl")) for name in "ab"]
    (tmp_path / "out").mkdir()
    spec = ReadSpec(files=sources[:1], data=DATA, task="qa", unique_ids=True, out=str(tmp_path / "out"))
    sent = ReadSpec.model_validate_json(spec.model_dump_json())
    assert sent == spec
    result = read_rows(sent, "cpu")
    assert (result.counts.rows, result.counts.by_code, result.tasks) == (1, {"E011": 1}, {"qa": 1})
    (tmp_path / "a.jsonl").write_text(line(1, id="same"))
    (tmp_path / "b.jsonl").write_text(line(2, id="same"))
    both = spec.model_copy(update={"files": sources, "unique_ids": False})
    assert read_rows(both, "cpu").counts.rows == 2
    with pytest.raises(DataError, match="'same' is in a and in b"):
        read_rows(both.model_copy(update={"unique_ids": True}), "cpu")
