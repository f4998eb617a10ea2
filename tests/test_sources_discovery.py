"""Which files there are, and what they are called."""

import fsspec
import pytest

from distill_dagster.config import DataConfig
from distill_dagster.errors import DataError, UserError
from distill_dagster.sources.discovery import SourceFile, content_hash, discover, discover_test


def config(root, **patterns):
    return DataConfig(**{"train": "*", "test": "*", **{k: f"{root}/{v}" for k, v in patterns.items()}})


@pytest.fixture
def files(tmp_path):
    for name in ("train/part-01.jsonl", "train/part-00.jsonl.gz", "validation.jsonl", "test.jsonl.zst"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(name)
    return tmp_path


def test_files_become_shards_sorted_by_key(files):
    data = config(files, train="train/*", validation="validation.jsonl", test="test.jsonl.zst")
    assert [(s.key, s.split) for s in discover(data)] == [
        ("train-part-00", "train"),
        ("train-part-01", "train"),
        ("validation", "validation"),
    ]
    assert discover_test(data) == [SourceFile("test", "test", f"{files}/test.jsonl.zst")]


def test_urls_of_other_filesystems_stay_urls():
    with fsspec.open("memory://discovery/a.jsonl", "wb") as f:
        f.write(b"{}")
    (source,) = discover(DataConfig(train="memory://discovery/*.jsonl", test="x"))
    assert source.url.startswith("memory://")
    assert content_hash(source) == "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"


def test_a_pattern_that_matches_nothing_names_its_field(files):
    with pytest.raises(DataError, match=r"data\.validation: .*/valid\*.* matches no file"):
        discover(config(files, train="train/*", validation="valid*.parquet"))


def test_a_file_of_another_ending_is_not_passed_over(files):
    (files / "train" / "notes.txt").write_text("")
    with pytest.raises(DataError, match=r"notes\.txt does not end in \.jsonl"):
        discover(config(files, train="train/*"))


def test_two_files_cannot_be_one_shard(files):
    (files / "train" / "part-00.jsonl").write_text("")
    with pytest.raises(DataError, match=r"part-00\.jsonl and .*part-00\.jsonl\.gz would both be the shard"):
        discover(config(files, train="train/*"))


def test_a_file_that_two_patterns_match_comes_once(files):
    data = DataConfig(train=[f"{files}/train/*", f"{files}/train/part-01.jsonl"], test="x")
    assert len(discover(data)) == 2


def test_a_file_has_one_split(files):
    with pytest.raises(DataError, match=r"data\.train and by data\.validation"):
        discover(config(files, train="train/*", validation="train/part-01.jsonl"))


def test_a_name_that_cannot_be_a_folder_is_refused(tmp_path):
    (tmp_path / "a b.jsonl").write_text("")
    with pytest.raises(UserError, match="'train-a b'"):
        discover(config(tmp_path, train="*.jsonl"))


def test_a_file_name_with_wildcards_in_it_is_found_literally(tmp_path):
    (tmp_path / "a.jsonl").write_text("")
    (tmp_path / "[a].jsonl").write_text("")
    with pytest.raises(UserError, match=r"\[a\]"):
        discover(config(tmp_path, train="[a].jsonl"))


def test_an_unknown_protocol_is_an_error_of_the_data():
    with pytest.raises(DataError, match="cannot be listed"):
        discover(DataConfig(train="nosuch://bucket/*.jsonl", test="x"))


def test_content_hash_follows_the_bytes(files):
    source = discover_test(config(files, train="train/*", test="validation.jsonl"))[0]
    before = content_hash(source)
    (files / "validation.jsonl").write_text("changed")
    assert content_hash(source) != before
    (files / "validation.jsonl").unlink()
    with pytest.raises(DataError, match="is not there"):
        content_hash(source)
