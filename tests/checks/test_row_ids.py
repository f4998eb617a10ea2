"""`ids_differ` compares a shard with all that is published, and reads no table of a shard that was checked before."""

import pytest

from distill_dagster.checks.row_ids import CHECKS, ROW_IDS
from distill_dagster.errors import DataError
from distill_dagster.lineage.project import Project
from distill_dagster.lineage.snapshot import Snapshot
from distill_dagster.sources.specs import ReadCounts, ReadResult
from distill_dagster.store import files, hashing, parquet, schemas

ONE, OTHER, THIRD = "train-part-00", "train-part-01", "train-part-02"
(CHECK,) = CHECKS


@pytest.fixture
def project(tiny_config) -> Project:
    return Project(tiny_config)


def publish(project: Project, shard: str, ids: str, asks: str = "") -> None:
    """A version of a shard with a row for each letter of `ids`."""

    def make(out, work) -> ReadResult:
        rows = [
            {"row_id": row_id, "task": "qa", "messages": [{"role": "user", "content": asks or f"{shard} {row_id}?"}]}
            for row_id in ids
        ]
        parquet.write_table(out / files.RAW_FILE, rows, schemas.RAW)
        counts = ReadCounts(lines=len(rows), rows=len(rows), rejected=0)
        return ReadResult(data_version=hashing.rows_hash(rows), counts=counts, tasks={}, with_reference=0)

    project.store.publish("raw_dataset", shard, fingerprint=f"{shard} {ids} {asks}", inputs={}, make=make)


def look(project: Project, shard: str):
    return CHECK.run(Snapshot(project), shard)


def test_the_later_of_two_shards_fails_and_names_the_earlier_one(project):
    publish(project, ONE, "abc")
    assert look(project, ONE).passed
    publish(project, OTHER, "bcd")
    found = look(project, OTHER)
    assert (found.passed, found.numbers) == (False, {"shared_ids": 2})
    assert f"2 ids of {OTHER} are those of other rows in {ONE}, such as 'b'" in found.description
    assert not look(project, ONE).passed, "neither can be told from the other now"


def test_equal_rows_may_share_an_id(project):
    for shard in (ONE, OTHER):
        publish(project, shard, "a", asks="2 + 2?")
        assert look(project, shard).passed


def test_a_shard_that_was_mended_since_is_compared_as_it_is_now(project):
    publish(project, ONE, "abc")
    assert look(project, ONE).passed
    publish(project, ONE, "xyz")  # its own check has not run yet
    publish(project, OTHER, "abc")
    assert look(project, OTHER).passed
    publish(project, THIRD, "z")
    assert ONE in look(project, THIRD).description


def test_a_shard_whose_file_was_removed_is_compared_with_nothing(project, tmp_path):
    publish(project, ONE, "abc")
    assert look(project, ONE).passed
    (tmp_path / "data/train/part-00.jsonl").unlink()
    publish(project, OTHER, "abc")
    assert look(project, OTHER).passed


def test_shards_of_a_store_without_the_file_are_added_from_their_tables(project):
    for shard, ids in ((ONE, "abc"), (OTHER, "def"), (THIRD, "cf")):
        publish(project, shard, ids)
    found = look(project, THIRD)
    assert ONE in found.description
    assert OTHER in found.description


def test_no_table_of_another_shard_is_read(project):
    for shard, ids in ((ONE, "abc"), (OTHER, "def")):
        publish(project, shard, ids)
        assert look(project, shard).passed
    for shard in (ONE, OTHER):
        project.store.get("raw_dataset", shard).file(files.RAW_FILE).write_bytes(b"torn")
    publish(project, THIRD, "xyz")
    assert look(project, THIRD).passed
    publish(project, THIRD, "xyza")
    assert ONE in look(project, THIRD).description


def test_a_damaged_file_is_named_with_the_way_out(project):
    publish(project, ONE, "abc")
    path = project.store.root / ROW_IDS
    path.write_bytes(b"no database, and long enough to be taken for one" * 100)
    with pytest.raises(DataError, match=rf"{ROW_IDS} cannot be used \(.*delete it and run again"):
        look(project, ONE)
    path.unlink()
    assert look(project, ONE).passed


def test_what_an_interrupted_check_added_is_added_again(project, monkeypatch):
    publish(project, ONE, "abc")
    publish(project, OTHER, "c")
    raw = project.store.get("raw_dataset", OTHER).file(files.RAW_FILE)
    whole = raw.read_bytes()
    raw.write_bytes(b"torn")
    with pytest.raises(DataError, match="cannot be read as parquet"):
        look(project, ONE)
    raw.write_bytes(whole)
    assert OTHER in look(project, ONE).description
