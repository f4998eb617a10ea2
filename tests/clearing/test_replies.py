"""Replies to rows that are gone for a long time go; those that a present row could use, or a table holds, stay."""

import json
import os
import shutil
import time
from datetime import timedelta

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from distill_dagster.clearing.replies import IN_A_TABLE, NO_ROW, UNFINISHED, USABLE, look_at_replies
from distill_dagster.clearing.specs import Part, Rules
from distill_dagster.clearing.versions import VersionsToClear
from distill_dagster.config.reading import load_config
from distill_dagster.lineage.project import Project
from distill_dagster.lineage.snapshot import Snapshot
from distill_dagster.store.hashing import prompt_hash
from distill_dagster.store.result import Counts, Result
from distill_dagster.teachers.responses import Responses
from testing.api_project import write_api_project, write_rows
from testing.clearing import LATER, MUCH_LATER, NOWHERE, answer, store_replies

PRESENT, GONE, OF_NO_ROW = range(12), range(100, 106), (700, 701)
LATELY = "its row was found to be gone less than 90 days ago"


@pytest.fixture
def project(tmp_path) -> Project:
    """A project whose store has replies to its rows, to rows that are gone, and to none."""
    project = Project(load_config(write_api_project(tmp_path, NOWHERE, shards=1)))
    responses = Responses(project.responses)
    store_replies(responses, "train-part-00", [answer(n) for n in PRESENT])
    store_replies(responses, "train-part-07", [answer(n) for n in (*GONE, *range(5, 7))])
    store_replies(responses, "older", [answer(n, prompt=None) for n in OF_NO_ROW])
    return project


def look(project: Project, rules: Rules) -> Part:
    answers = VersionsToClear.look(project.store, project.config, rules).answers()
    return look_at_replies(Snapshot(project), answers, rules)


def counts(part: Part) -> dict[str | None, int]:
    """Why replies stay, and how many; those that go are under None."""
    return {lot.why: lot.count for lot in part.lots if lot.count}


def known(project: Project) -> set[int]:
    """The numbers of the replies that are found."""
    hashes = {answer(n).request_hash: n for n in (*PRESENT, *GONE, *OF_NO_ROW)}
    return {hashes[key] for key in Responses(project.responses).find(hashes)}


def test_replies_go_when_their_rows_are_gone_for_long_enough_and_what_they_cost_still_counts(project):
    stored = {USABLE: 12, NO_ROW: 2}
    responses = Responses(project.responses)
    spent = responses.spent()
    assert spent == 10.0, "two replies were stored twice, and count once"
    assert counts(look(project, LATER)) == {**stored, LATELY: 6}
    assert counts(look(project, MUCH_LATER)) == {**stored, LATELY: 6}, "a look writes nothing down"
    assert look(project, LATER).delete() == []
    assert counts(look(project, MUCH_LATER)) == {**stored, None: 6}
    assert known(project) == {*PRESENT, *GONE, *OF_NO_ROW}
    assert [lot.count for lot in look(project, MUCH_LATER).delete()] == [6]
    assert known(project) == {*PRESENT, *OF_NO_ROW}
    assert Responses(project.responses).spent() == spent
    assert counts(look(project, MUCH_LATER)) == stored
    store_replies(responses, "again", [answer(100, created_at="2026-02-01T00:00:00+00:00")])
    assert Responses(project.responses).spent() == spent + 0.5


def test_what_a_killed_process_left_of_a_segment_goes_a_day_later(project):
    segments = project.store.root / "responses/segments"
    left, written_now = segments / ".1700-dead", segments / ".1700-alive"
    for path in (left, written_now):
        path.write_bytes(b"half a segment")
    os.utime(left, (time.time() - 90_000, time.time() - 90_000))
    look(project, LATER).delete()
    assert not left.exists()
    assert written_now.exists()


def test_a_row_that_comes_back_takes_its_reply_off_the_list(project):
    look(project, LATER).delete()
    file = project.store.root.parent / "data/train/part-09.jsonl"
    write_rows(file, [100])
    assert look(project, MUCH_LATER).delete()[0].count == 5
    file.unlink()
    assert counts(look(project, Rules(now=MUCH_LATER.now + timedelta(days=80))))[LATELY] == 1
    assert known(project) == {*PRESENT, *OF_NO_ROW, 100}


def test_a_row_that_comes_back_between_the_look_and_the_deletion_keeps_its_reply(project):
    look(project, LATER).delete()
    part = look(project, MUCH_LATER)
    write_rows(project.store.root.parent / "data/train/part-09.jsonl", [100, 101])
    part.delete()
    assert known(project) == {*PRESENT, *OF_NO_ROW, 100, 101}


def test_what_a_published_table_of_answers_holds_stays(project):
    def make(out, work):
        pq.write_table(
            pa.table({"request_hash": [answer(n).request_hash for n in (100, 101)]}), out / "teacher.parquet"
        )
        return Result(data_version="t", counts=Counts())

    project.store.publish("teacher_outputs", "gone", fingerprint="f", inputs={}, make=make)
    look(project, LATER).delete()
    assert counts(look(project, MUCH_LATER))[IN_A_TABLE] == 2
    look(project, MUCH_LATER).delete()
    assert known(project) == {*PRESENT, *OF_NO_ROW, 100, 101}


def test_what_a_kill_left_in_a_journal_and_in_a_segment_stays_until_the_shard_is_finished(project):
    look(project, LATER).delete()
    spent = Responses(project.responses).spent()
    journal = project.store.root / "responses/journals/train-part-07.jsonl"
    journal.write_text("".join(json.dumps(answer(n)._asdict()) + "\n" for n in (100, 101)))
    found = look(project, MUCH_LATER)
    assert counts(found)[UNFINISHED] == 2
    assert found.delete()[0].count == 4
    assert Responses(project.responses).spent() == spent
    assert known(project) == {*PRESENT, *OF_NO_ROW, 100, 101}
    store_replies(Responses(project.responses), "train-part-07", [])
    assert look(project, MUCH_LATER).delete()[0].count == 2
    assert Responses(project.responses).spent() == spent
    assert known(project) == {*PRESENT, *OF_NO_ROW}


def test_since_when_a_row_is_gone_is_kept_while_its_segment_is_merged(project, tmp_path):
    segments, notes = project.store.root / "responses/segments", project.store.root / "responses/removed/prompts.json"
    look(project, LATER).delete()
    noted = notes.read_text()
    segments.rename(tmp_path / "away")
    look(project, LATER).delete()
    assert notes.read_text() == noted
    (tmp_path / "away").rename(segments)
    assert look(project, MUCH_LATER).delete()[0].count == 6
    assert json.loads(notes.read_text()) == {}, "all their replies are deleted"


def test_nothing_goes_while_a_source_file_cannot_be_read(project):
    look(project, LATER).delete()
    data = project.store.root.parent / "data"
    (data / "train/part-01.jsonl").write_bytes(b"")
    part = look(project, MUCH_LATER)
    (why,) = counts(part)
    assert "what rows there are is not known" in why
    assert "part-01.jsonl" in why
    part.delete()
    shutil.rmtree(data / "train")
    (why,) = counts(look(project, MUCH_LATER))
    assert "data/train/*.jsonl" in why
    assert known(project) == {*PRESENT, *GONE, *OF_NO_ROW}


def test_a_conversation_that_grew_by_a_turn_could_use_the_replies_to_its_earlier_turns():
    first = [{"role": "system", "content": "S"}, {"role": "user", "content": "Hi"}]
    gold, later = {"role": "assistant", "content": "Hello!"}, {"role": "user", "content": "Bye"}
    assert prompt_hash(first) == prompt_hash([*first, gold]), "the teacher sees its own replies, whatever the row says"
    assert len({prompt_hash(first), prompt_hash([*first, gold, later]), prompt_hash(first[1:])}) == 3
