"""Which source files are found, and which keys they get."""

import re

import fsspec
import pytest
from datasets import Dataset

from distill_dagster.config import DataConfig
from distill_dagster.errors import DataError
from distill_dagster.sources.files.discovery import SourceFile, content_hash, discover, discover_test
from distill_dagster.sources.files.versions import SourceVersions
from distill_dagster.sources.judging.verdicts import SourceReading
from distill_dagster.store.artefacts import check_key


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


def test_a_file_with_another_ending_is_not_skipped(files):
    (files / "train" / "notes.txt").write_text("")
    with pytest.raises(DataError, match=r"notes\.txt does not end in \.jsonl"):
        discover(config(files, train="train/*"))


def test_two_files_cannot_be_one_shard(files):
    (files / "train" / "part-00.jsonl").write_text("")
    with pytest.raises(DataError, match=r"part-00\.jsonl and .*part-00\.jsonl\.gz both get the shard key"):
        discover(config(files, train="train/*"))


def test_a_file_that_two_patterns_match_comes_once(files):
    data = DataConfig(train=[f"{files}/train/*", f"{files}/train/part-01.jsonl"], test="x")
    assert len(discover(data)) == 2


def test_a_file_has_one_split(files):
    with pytest.raises(DataError, match=r"data\.train and by data\.validation"):
        discover(config(files, train="train/*", validation="train/part-01.jsonl"))


@pytest.mark.parametrize("name", ["a b", "a,b", "é", "[a]", "a..b", "x" * 120, "?", " "])
def test_a_file_whose_name_cannot_be_a_key_fails_alone(tmp_path, name):
    for stem in (name, "a-b"):
        (tmp_path / f"{stem}.jsonl").write_text("{}")
    bad, good = sorted(discover(config(tmp_path, train="*.jsonl")), key=lambda source: source.key == "train-a-b")
    assert good == SourceFile("train-a-b", "train", f"{tmp_path}/a-b.jsonl")
    assert check_key(bad.key) == bad.key != good.key
    for read in (content_hash, lambda source: SourceVersions(tmp_path / "v.json").of([source]), list_rows):
        with pytest.raises(DataError, match=rf"{re.escape(name)}\.jsonl: shard name .* rename the file"):
            read(bad)
    versions, unreadable = SourceVersions(tmp_path / "v.json").readable([bad, good])
    assert (versions.keys(), unreadable.keys()) == ({good.key}, {bad.key})


def list_rows(source):
    return list(SourceReading(source, DataConfig(train="x", test="x"), "qa"))


FOLDERS = ["[2024] proj", "what?", "a*b", "[a]/*/[!x]"]


@pytest.mark.parametrize("folder", FOLDERS)
@pytest.mark.parametrize(
    ("pattern", "found"),
    [
        ("data/*.jsonl", ["a", "b"]),
        ("data/a.jsonl", ["a"]),
        ("data/[b].jsonl", ["b"]),
        ("data/?.jsonl", ["a", "b"]),
        ("*/a.jsonl", ["a"]),
        ("**/*.jsonl", ["a", "b", "c"]),
        ("data/{a,b}.jsonl", []),
    ],
)
def test_only_what_the_user_wrote_is_a_pattern(tmp_path, folder, pattern, found):
    root = tmp_path / folder
    for name in ("data/a.jsonl", "data/b.jsonl", "data/more/c.jsonl"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(name)
    if not found:
        with pytest.raises(DataError, match="matches no file"):
            discover(config(root, train=pattern))
        return
    sources = discover(config(root, train=pattern))
    assert [source.key.removeprefix("train-") for source in sources] == found
    assert all(source.url.startswith(str(root)) and content_hash(source) for source in sources)


def test_a_saved_dataset_in_such_a_folder_is_found(tmp_path):
    Dataset.from_list([{"text": "a"}]).save_to_disk(tmp_path / "[2024] proj" / "saved")
    for pattern in ("saved", "s*"):
        (source,) = discover(config(tmp_path / "[2024] proj", train=pattern))
        assert content_hash(source)


def test_an_unknown_protocol_is_an_error_of_the_data():
    with pytest.raises(DataError, match="cannot be listed"):
        discover(DataConfig(train="nosuch://bucket/*.jsonl", test="x"))


def test_content_hash_follows_the_bytes(files):
    source = discover_test(config(files, train="train/*", test="validation.jsonl"))[0]
    before = content_hash(source)
    (files / "validation.jsonl").write_text("changed")
    assert content_hash(source) != before
    (files / "validation.jsonl").unlink()
    with pytest.raises(DataError, match="does not exist"):
        content_hash(source)


def linked(link, target):
    link.parent.mkdir(exist_ok=True)
    link.symlink_to(target)
    return link


@pytest.fixture
def cached(tmp_path):
    """Files in a cache, as DVC and the Hugging Face hub keep them under meaningless names."""
    for name in ("cache/5f1c", "cache/060d"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(name)
    return tmp_path


def test_a_link_counts_as_its_target_and_keeps_its_own_name(cached):
    linked(cached / "train" / "a.jsonl", "../cache/5f1c")
    linked(cached / "train" / "b.jsonl", cached / "train" / "a.jsonl")  # a link to a link
    linked(cached / "train" / "folder", cached / "cache")
    (cached / "train" / "c.jsonl").write_text("")
    linked(cached / "test.jsonl", "cache/060d")
    data = config(cached, train="train/*", test="test.jsonl")
    keys = ["train-a", "train-b", "train-c"]  # neither a nor b is in the folder under its own name
    assert [source.key for source in discover(data)] == keys
    assert discover(config(cached, train="train/a.jsonl"))[0].url == f"{cached}/train/a.jsonl"
    assert len({content_hash(source) for source in discover(data)}) == 2
    assert [source.key for source in discover_test(data)] == ["test"]


def test_a_link_to_a_saved_dataset_is_one(cached):
    Dataset.from_list([{"text": "a"}]).save_to_disk(cached / "cache" / "dataset")
    linked(cached / "train" / "saved", cached / "cache" / "dataset")
    (source,) = discover(config(cached, train="train/*"))
    assert (source.key, source.url) == ("train-saved", f"{cached}/train/saved")
    assert content_hash(source)


def test_a_link_to_a_file_of_the_split_is_skipped(files):
    linked(files / "train" / "latest.jsonl", "part-01.jsonl")
    assert [source.key for source in discover(config(files, train="train/*"))] == ["train-part-00", "train-part-01"]
    assert [source.key for source in discover(config(files, train="train/l*"))] == ["train-latest"]


def test_a_link_does_not_carry_a_file_into_a_second_split(files):
    linked(files / "held-out.jsonl", "train/part-01.jsonl")
    with pytest.raises(DataError, match=r"held-out\.jsonl \(the same file as .*part-01\.jsonl\) .* data\.test and"):
        discover_test(config(files, train="train/*", test="held-out.jsonl"))
    with pytest.raises(DataError, match=r"the same file as .*data\.train and by data\.validation"):
        discover(config(files, train="train/*", validation="held-out.jsonl"))


@pytest.mark.parametrize("pattern", ["*.jsonl", "a.jsonl"])
def test_a_broken_link_is_a_file_that_cannot_be_read(tmp_path, pattern):
    linked(tmp_path / "a.jsonl", "cache/5f1c")
    linked(tmp_path / ".#b.jsonl", "somebody@host.17:1700000000")  # the lock that Emacs keeps beside a file in edit
    (source,) = discover(config(tmp_path, train=pattern))
    with pytest.raises(DataError, match=r"a\.jsonl is a link to cache/5f1c, which does not exist .*, or remove"):
        content_hash(source)


def test_a_broken_link_without_an_ending_is_not_skipped(files):
    linked(files / "train" / "more", "gone")
    with pytest.raises(DataError, match=r"train/more is a link to gone, which does not exist"):
        discover(config(files, train="train/*"))


@pytest.mark.parametrize("pattern", ["train", "train/"])
def test_a_folder_in_place_of_a_file_says_how_to_name_its_files(files, pattern):
    with pytest.raises(DataError, match=r"data\.train: '.*/train/?' is a folder, .* for its files write .*/train/\*$"):
        discover(config(files, train=pattern))
