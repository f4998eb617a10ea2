"""Data versions of source files follow their content, and unchanged files are not read again."""

import os
import time

import pytest

from distill_dagster.errors import DataError
from distill_dagster.sources.files import versions as versions_module
from distill_dagster.sources.files.discovery import SourceFile, content_hash
from distill_dagster.sources.files.versions import SourceVersions, UnreadableError


@pytest.fixture
def source(tmp_path):
    path = tmp_path / "part.jsonl"
    path.write_text('{"a": 1}\n')
    age(path)
    return SourceFile("train-part", "train", str(path))


def age(path, seconds=60):
    """Date the file back, as if it had been written earlier."""
    then = time.time() - seconds
    os.utime(path, (then, then))


@pytest.fixture
def reads(monkeypatch):
    """URLs of the files that were read."""
    seen = []
    monkeypatch.setattr(versions_module, "content_hash", lambda s: (seen.append(s.url), content_hash(s))[1])
    return seen


def test_an_unchanged_file_is_read_once(source, reads, tmp_path):
    memory = tmp_path / "memory" / "versions.json"
    first = SourceVersions(memory).of([source])
    assert SourceVersions(memory).of([source]) == first == {"train-part": content_hash(source)}
    assert reads == [source.url]


def test_a_touched_file_is_read_and_has_the_same_version(source, reads, tmp_path):
    memory = SourceVersions(tmp_path / "versions.json")
    first = memory.of([source])
    age(source.url, 30)
    assert memory.of([source]) == first
    assert memory.of([source]) == first
    assert len(reads) == 2


def test_a_file_written_just_now_is_not_remembered(source, reads, tmp_path):
    memory, path = SourceVersions(tmp_path / "versions.json"), tmp_path / "part.jsonl"
    path.write_text('{"a": 1}\n')
    first = memory.of([source])
    stat = path.stat()
    path.write_text('{"a": 2}\n')
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))  # the same size and time, as within one clock tick
    assert memory.of([source]) != first
    assert len(reads) == 2


def test_a_damaged_or_unwritable_memory_costs_time_and_no_truth(source, reads, tmp_path):
    memory = tmp_path / "versions.json"
    memory.write_text("{")
    assert SourceVersions(memory).of([source]) == {"train-part": content_hash(source)}
    blocked = tmp_path / "file"
    blocked.write_text("")
    assert SourceVersions(blocked / "versions.json").of([source]) == {"train-part": content_hash(source)}


def test_a_file_that_is_gone_is_named(source, tmp_path):
    os.unlink(source.url)
    with pytest.raises(DataError, match=r"part\.jsonl"):
        SourceVersions(tmp_path / "versions.json").of([source])


def test_a_file_that_cannot_be_read_is_its_own_failure(source, reads, tmp_path):
    (tmp_path / "folder.jsonl").mkdir()
    (tmp_path / "link.jsonl").symlink_to("gone.jsonl")
    names = ("folder", "part", "link")
    sources = [SourceFile(f"train-{name}", "train", f"{tmp_path}/{name}.jsonl") for name in names]
    memory = SourceVersions(tmp_path / "versions.json")
    for _ in range(2):
        versions, unreadable = memory.readable(sources)
        assert versions == {"train-part": content_hash(source)}
        assert list(unreadable) == ["train-folder", "train-link"]
        assert "folder.jsonl" in str(unreadable["train-folder"])
        assert "link.jsonl is a link to gone.jsonl, which does not exist" in str(unreadable["train-link"])
    assert reads.count(source.url) == 1, "what can be read is remembered"
    with pytest.raises(UnreadableError, match=r"folder\.jsonl"):
        memory.of(sources)


def test_a_saved_dataset_that_lacks_a_file_names_it(tmp_path):
    (tmp_path / "saved").mkdir()
    (tmp_path / "saved" / "state.json").write_text("{}")
    (tmp_path / "saved" / "data.arrow").symlink_to("../cache/5f1c")
    with pytest.raises(UnreadableError, match=r"saved/data\.arrow is a link to \.\./cache/5f1c"):
        SourceVersions(tmp_path / "versions.json").of([SourceFile("train-saved", "train", str(tmp_path / "saved"))])
