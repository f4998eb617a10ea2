"""Stored replies are found and counted once, after kills and while other processes merge."""

import contextlib
import json
import shutil
import threading
from concurrent.futures import ThreadPoolExecutor

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from distill_dagster.errors import DataError
from distill_dagster.store import parquet, schemas
from distill_dagster.teachers import responses as responses_module
from distill_dagster.teachers import segments as segments_module
from distill_dagster.teachers.protocol import Reply
from distill_dagster.teachers.responses import Responses


def reply(number, text="fine", **changes):
    stored = Reply(
        f"h{number}",
        text,
        "stop",
        prompt_tokens=3,
        completion_tokens=10,
        cost_usd=0.5,
        teacher="made",
        teacher_revision="1",
        created_at=f"2026-01-01T00:00:00.{number:06}+00:00",
    )
    return stored._replace(**changes)


def test_a_reply_has_the_columns_that_are_stored():
    assert set(Reply._fields) == set(schemas.RESPONSE.names)


def failure(number, **changes):
    return reply(number, None, finish_reason="error", error_code="timeout", **changes)


def seal(root, name, replies):
    with Responses(root).journal(name) as journal:
        for stored in replies:
            journal.append(stored._asdict())


def write_journal(root, name, replies):
    """Write the journal that a killed process leaves."""
    with contextlib.suppress(KeyboardInterrupt), Responses(root).journal(name) as journal:
        for stored in replies:
            journal.append(stored._asdict())
        raise KeyboardInterrupt


def segments(root):
    return sorted((root / "segments").iterdir())


def test_replies_are_found_in_journals_and_in_segments(tmp_path):
    seal(tmp_path, "one", [reply(n) for n in range(5)])
    write_journal(tmp_path, "two", [reply(n) for n in range(5, 8)])
    found = Responses(tmp_path).find([f"h{n}" for n in range(10)])
    assert sorted(found) == [f"h{n}" for n in range(8)]
    assert found["h2"] == reply(2)
    assert found["h6"] == reply(6)
    assert Responses(tmp_path).find([]) == {}
    assert Responses(tmp_path / "nothing").find(["h1"]) == {}


def test_a_shard_that_is_done_has_a_segment_and_no_journal(tmp_path):
    seal(tmp_path, "one", [reply(1)])
    assert [path.suffix for path in segments(tmp_path)] == [".parquet"]
    assert not list((tmp_path / "journals").glob("*.jsonl"))


def test_a_shard_that_asked_nothing_makes_no_segment(tmp_path):
    seal(tmp_path, "one", [])
    assert not (tmp_path / "segments").exists()


def test_failures_are_no_replies_but_what_they_cost_is_kept(tmp_path):
    seal(tmp_path, "one", [reply(1), failure(2), failure(3, cost_usd=0.0)])
    write_journal(tmp_path, "two", [failure(4)])
    assert sorted(Responses(tmp_path).find(["h1", "h2", "h3", "h4"])) == ["h1"]
    assert Responses(tmp_path).spent() == 1.5
    assert len(parquet.read_table(segments(tmp_path)[0])) == 2


def test_a_reply_after_a_failure_of_the_same_request_is_found_and_both_are_paid_for(tmp_path):
    seal(tmp_path, "one", [failure(1), reply(1, created_at="later")])
    assert Responses(tmp_path).find(["h1"])["h1"].text == "fine"
    assert Responses(tmp_path).spent() == 1.0


def test_killed_between_the_segment_and_the_journals_end_everything_counts_once(tmp_path):
    write_journal(tmp_path, "one", [reply(1), failure(2)])
    journal = tmp_path / "journals" / "one.jsonl"
    shutil.copy(journal, tmp_path / "kept")
    seal(tmp_path, "one", [])
    shutil.copy(tmp_path / "kept", journal)
    responses = Responses(tmp_path)
    assert responses.spent() == 1.0, "the segment is there, and the journal is not gone yet"
    seal(tmp_path, "one", [reply(3)])
    assert responses.spent() == 1.5
    assert responses.mean_completion_tokens("made", "1") == 10
    assert sum(len(parquet.read_table(path)) for path in segments(tmp_path)) == 3
    assert not journal.exists()


OLDER = pa.schema([field for field in schemas.RESPONSE if field.name not in ("estimated", "received", "prompt")])


def test_segments_and_journals_from_before_three_columns_are_read_and_merged(tmp_path, merges_early):
    seal(tmp_path, "one", [reply(1)])
    pq.write_table(pq.read_table(segments(tmp_path)[0]).select(OLDER.names), segments(tmp_path)[0])
    line = {name: value for name, value in reply(2)._asdict().items() if name in OLDER.names}
    (tmp_path / "journals" / "two.jsonl").write_text(json.dumps(line) + "\n")
    assert Responses(tmp_path).find(["h1", "h2"]) == {"h1": reply(1, estimated=None, received=None), "h2": reply(2)}
    for n in range(3, 8):
        seal(tmp_path, f"shard-{n}", [reply(n)])
    assert len(segments(tmp_path)) < 6
    assert sorted(Responses(tmp_path).find([f"h{n}" for n in range(9)])) == [f"h{n}" for n in range(1, 8)]


def test_a_stored_reply_ends_as_its_word_means_now_and_an_interrupted_one_is_asked_again(tmp_path):
    words = ["eos", "MAX_TOKENS", "SAFETY", "banana", "network_error", "rate_limited", "503"]
    stored = [reply(n, finish_reason=word) for n, word in enumerate(words)]
    seal(tmp_path, "one", stored)
    write_journal(tmp_path, "two", [entry._replace(request_hash=f"j{n}") for n, entry in enumerate(stored)])
    found = Responses(tmp_path).find([f"{kind}{n}" for kind in "hj" for n in range(7)])
    for kind in "hj":
        ends = [found[f"{kind}{n}"].finish_reason for n in range(4)]
        assert ends == ["stop", "length", "content_filter", "banana"]
    assert len(found) == 8
    assert Responses(tmp_path).spent() == 7.0


def test_a_body_that_was_no_answer_is_kept_though_it_cost_nothing(tmp_path):
    seal(tmp_path, "one", [failure(1, cost_usd=0.0, received="<html>"), failure(2, cost_usd=0.0)])
    assert [row["received"] for row in parquet.read_table(segments(tmp_path)[0])] == ["<html>"]


def test_what_a_writer_that_was_killed_left_is_no_segment(tmp_path):
    seal(tmp_path, "one", [reply(1)])
    (tmp_path / "segments" / ".178-half").write_bytes(b"PAR1 half")
    assert Responses(tmp_path).spent() == 0.5


@pytest.fixture
def merges_early(monkeypatch):
    """Merge four small segments instead of sixty-four."""
    monkeypatch.setattr(responses_module, "MOST_SMALL", 4)


def test_many_small_segments_become_one(tmp_path, merges_early):
    for n in range(11):
        seal(tmp_path, f"shard-{n}", [reply(2 * n), reply(2 * n + 1)])
        assert len(segments(tmp_path)) <= 4
    responses = Responses(tmp_path)
    assert responses.find([f"h{n}" for n in range(30)]) == {f"h{n}": reply(n) for n in range(22)}
    assert responses.spent() == 11.0


def test_what_deleted_replies_cost_counts_after_merges_and_in_segments_without_replies(tmp_path, merges_early):
    for n in range(3):
        seal(tmp_path, f"shard-{n}", [reply(2 * n), reply(2 * n + 1)])
    responses = Responses(tmp_path)
    assert responses.delete(["h0", "h1", "h2", "unknown"]) == 3
    assert responses.delete(["h3"]) == 1
    assert sorted(Responses(tmp_path).find([f"h{n}" for n in range(6)])) == ["h4", "h5"]
    assert Responses(tmp_path).spent() == 3.0
    for n in range(3, 9):
        seal(tmp_path, f"shard-{n}", [reply(2 * n)])
    assert len(segments(tmp_path)) <= 4
    assert Responses(tmp_path).spent() == 3.0 + 3.0


def test_replies_that_a_kill_left_in_a_journal_too_are_not_deleted_and_cost_once(tmp_path):
    seal(tmp_path, "a", [reply(1), reply(2)])
    write_journal(tmp_path, "a", [reply(1)])
    assert Responses(tmp_path).delete(["h1", "h2"]) == 1
    assert Responses(tmp_path).spent() == 1.0
    assert set(Responses(tmp_path).find(["h1", "h2"])) == {"h1"}
    seal(tmp_path, "a", [])
    assert Responses(tmp_path).delete(["h1"]) == 1
    assert Responses(tmp_path).spent() == 1.0
    assert Responses(tmp_path).find(["h1", "h2"]) == {}


def test_a_merge_that_was_killed_counts_nothing_twice_and_is_tidied_up(tmp_path, merges_early):
    for n in range(4):
        seal(tmp_path, f"shard-{n}", [reply(n)])
    before = segments(tmp_path)
    (tmp_path / "kept").mkdir()
    for path in before:
        shutil.copy(path, tmp_path / "kept")
    seal(tmp_path, "last", [reply(4)])  # merges all five
    assert len(segments(tmp_path)) == 1
    for path in before[1:]:  # as if it had been killed after the first one was removed
        shutil.copy(tmp_path / "kept" / path.name, path)
    responses = Responses(tmp_path)
    assert responses.spent() == 2.5
    assert len(responses.find([f"h{n}" for n in range(9)])) == 5
    for n in range(5, 9):
        seal(tmp_path, f"shard-{n}", [reply(n)])
    assert len(segments(tmp_path)) == 1, "what was left over is gone, and did not count as small"
    assert responses.spent() == 4.5


def read_until(done, root, wrong):
    """Look repeatedly for the replies of four shards, like a process with an empty cache."""
    responses = Responses(root)
    while not done.is_set():
        segments_module.column.cache_clear()
        segments_module.replaces.cache_clear()
        if len(responses.find([f"h{n}" for n in range(4)])) != 4:
            wrong.append("a reply is missing")
        if (spent := responses.spent()) % 0.5 or not 2 <= spent <= 32:
            wrong.append(f"{spent} spent")


def test_a_reader_finds_everything_while_others_seal_and_merge(tmp_path, merges_early):
    for n in range(4):
        seal(tmp_path, f"first-{n}", [reply(n)])
    wrong, done = [], threading.Event()

    def write(first):
        for n in range(first, first + 30):
            seal(tmp_path, f"shard-{n}", [reply(n)])

    with ThreadPoolExecutor() as pool:
        readers = [pool.submit(read_until, done, tmp_path, wrong) for _ in range(2)]
        writers = [pool.submit(write, first) for first in (4, 34)]
        failed = [error for writer in writers if (error := writer.exception())]
        done.set()
    failed += [error for reader in readers if (error := reader.exception())]
    assert failed + wrong == []
    assert Responses(tmp_path).spent() == 32.0
    assert len(Responses(tmp_path).find([f"h{n}" for n in range(64)])) == 64
    assert len(segments(tmp_path)) <= 5


@pytest.mark.parametrize("torn", [b"", b"PAR1", b"PAR1 and no end"])
def test_a_torn_segment_is_named_and_the_others_are_readable_without_it(tmp_path, torn):
    seal(tmp_path, "one", [reply(1)])
    bad = tmp_path / "segments" / "9999-bad.parquet"
    bad.write_bytes(torn)
    for ask in (lambda r: r.find(["h1"]), lambda r: r.spent(), lambda r: r.mean_completion_tokens("made", "1")):
        with pytest.raises(DataError, match=r"9999-bad\.parquet is damaged .* delete it: its requests are sent"):
            ask(Responses(tmp_path))
    bad.unlink()
    assert sorted(Responses(tmp_path).find(["h1"])) == ["h1"]


def test_the_mean_length_is_that_of_one_teachers_replies(tmp_path):
    others = [reply(1, teacher="other", completion_tokens=99), reply(2, teacher_revision="2", completion_tokens=99)]
    seal(tmp_path, "one", [reply(3, completion_tokens=4), *others])
    seal(tmp_path, "two", [reply(4, completion_tokens=5)])
    assert Responses(tmp_path).mean_completion_tokens("made", "1") == 4.5
    assert Responses(tmp_path).mean_completion_tokens("made", "3") is None


@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_whatever_is_sealed_killed_and_merged_each_reply_is_there_and_paid_for_once(tmp_path_factory, data):
    root = tmp_path_factory.mktemp("responses")
    number, cost, kept = 0, 0.0, set()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(responses_module, "MOST_SMALL", 2)
        for _ in range(data.draw(st.integers(1, 8))):
            name, write = data.draw(st.sampled_from(["a", "b"])), data.draw(st.sampled_from([seal, write_journal]))
            entries = []
            for failed in data.draw(st.lists(st.booleans(), max_size=4)):
                entries.append((failure if failed else reply)(number))
                kept |= set() if failed else {f"h{number}"}
                number, cost = number + 1, cost + 0.5
            write(root, name, entries)
            assert Responses(root).spent() == cost
            assert Responses(root).find([f"h{n}" for n in range(number)]).keys() == kept
