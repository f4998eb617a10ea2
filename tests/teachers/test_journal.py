"""The journal of a shard after killed writers, beside other writers, and on full or read-only disks."""

import json
import resource
import threading
import time

import pytest

from distill_dagster.errors import DataError
from distill_dagster.teachers.journal import Journal, open_journal, read_journal
from testing.generation_contract import small_disk


def entry(number, text="é"):
    return {"request_hash": f"h{number}", "text": text}


def append_all(journal, count):
    for n in range(count):
        journal.append(entry(n, "x" * 150))


def hashes(path):
    return [found["request_hash"] for found in read_journal(path)]


@pytest.mark.parametrize("torn", [b'{"request_hash": "half', b'{"request_hash": "h9", "text": "\xc3', b"x" * 200_000])
def test_a_torn_last_line_is_cut_off_and_the_next_one_stands_whole(tmp_path, torn):
    path = tmp_path / "j.jsonl"
    with open_journal(path) as journal:
        for n in range(3):
            journal.append(entry(n))
    with path.open("ab") as stream:
        stream.write(torn)
    assert hashes(path) == ["h0", "h1", "h2"], "a reader passes over what is not whole"
    with open_journal(path) as journal:
        journal.append(entry(3))
    assert hashes(path) == ["h0", "h1", "h2", "h3"]


def test_a_journal_of_one_torn_line_is_empty(tmp_path):
    path = tmp_path / "j.jsonl"
    path.write_bytes(b'{"request')
    with open_journal(path):
        pass
    assert path.read_bytes() == b""


def test_a_damaged_line_in_the_middle_is_named_with_its_number(tmp_path):
    path = tmp_path / "j.jsonl"
    path.write_text('{"request_hash": "a"}\nnot json\n{"request_hash": "b"}\n')
    with pytest.raises(DataError, match=r"j\.jsonl, line 2, is damaged .* delete that line"):
        hashes(path)


def test_what_a_model_writes_comes_back_as_it_was(tmp_path):
    path = tmp_path / "j.jsonl"
    texts = ["line\nbreak\r\n", "\u2028 \x00 \x85", "🎉 \ud83d half", '"quoted" \\']
    with open_journal(path) as journal:
        for n, text in enumerate(texts):
            journal.append(entry(n, text))
    assert [found["text"] for found in read_journal(path)] == texts


def test_a_second_writer_waits_and_then_sees_what_the_first_one_wrote(tmp_path):
    path, order = tmp_path / "j.jsonl", []

    def second():
        with open_journal(path):
            order.append(f"second sees {len(hashes(path))}")

    with open_journal(path) as journal:
        waiting = threading.Thread(target=second)
        waiting.start()
        for n in range(5):
            journal.append(entry(n))
            time.sleep(0.02)
        order.append("first is done")
    waiting.join(timeout=20)
    assert order == ["first is done", "second sees 5"]


def test_a_folder_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "taken").write_text("a file")
    with (
        pytest.raises(DataError, match=r"taken cannot be written .* choose another `store:`"),
        open_journal(tmp_path / "taken" / "j.jsonl"),
    ):
        pass


def test_a_read_only_disk_is_named_and_leaves_no_lock(tmp_path):
    with small_disk(tmp_path / "disk", "64k") as remount:
        path = tmp_path / "disk" / "j.jsonl"
        remount("ro")
        with pytest.raises(DataError, match=r"cannot be written \(Read-only file system\)"), open_journal(path):
            pass
        remount("rw")
        with open_journal(path) as journal:
            journal.append(entry(1))
        assert hashes(path) == ["h1"]


def test_where_the_disk_is_full_every_reply_before_is_whole_and_one_can_go_on(tmp_path):
    """A limit on the file's size fails like a full disk: half of the last line fits."""
    path = tmp_path / "j.jsonl"
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    with open_journal(path) as journal:
        resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))
        try:
            with pytest.raises(DataError, match="the replies before this one are kept: make room and run again"):
                append_all(journal, 100)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        written = hashes(path)
        assert written == [f"h{n}" for n in range(len(written))]
        assert 3 <= len(written) < 10
        journal.append(entry("next"))
    assert [json.loads(line)["request_hash"] for line in path.read_text().splitlines()] == [*written, "hnext"]


def test_a_long_journal_is_cut_where_its_last_line_ends(tmp_path):
    path = tmp_path / "j.jsonl"
    whole = b'{"request_hash": "a"}\n'
    path.write_bytes(whole * 10_000 + b"y" * 70_000)
    Journal(path).close()
    assert path.stat().st_size == len(whole) * 10_000
