"""Which requests are sent again: rows that move, parsers that are fixed, teachers that change."""

from pathlib import Path

import pytest

from distill_dagster.config import GenerationConfig, QualityConfig
from distill_dagster.store import hashing
from distill_dagster.tasks.qa import QA
from distill_dagster.teachers.faculty import Faculty
from testing.generation_contract import asked_row, asked_rows, at, generate, is_right, lasting, spec_for
from testing.made_answers import answer_to
from testing.models_tiny import raw_row
from testing.sets import select_examples

ROWS = 24


def run(folder, server, rows, **changes):
    """Answer a shard: (calls that the server received, result, table)."""
    before = server.counts()["total"]
    produced, table = generate(spec_for(folder, server, rows, **changes))
    calls = server.counts()["total"] - before
    assert calls == produced.asked
    assert produced.asked + produced.reused == len({row["request_hash"] for row in table})
    return calls, produced, table


@pytest.fixture
def bought(tmp_path, server):
    """A shard that is answered already."""
    calls, _, table = run(tmp_path, server, asked_rows(ROWS))
    assert calls == ROWS
    return table


ARRANGEMENTS = {
    "reversed": (lambda rows: rows[::-1], 0),
    "inserted in the middle": (lambda rows: [*rows[:9], asked_row(900), asked_row(901), *rows[9:]], 2),
    "the same prompt under another id": (
        lambda rows: [*rows, *({**row, "row_id": f"b{row['row_id']}"} for row in rows)],
        0,
    ),
    "fewer": (lambda rows: rows[5:11], 0),
    "all of it": (lambda rows: [asked_row(902, "x"), asked_row(902, "y"), *rows[::-2]], 1),
    "none": (lambda rows: [], 0),
}


@pytest.mark.parametrize("name", ARRANGEMENTS)
@pytest.mark.parametrize("shard", ["shard", "renamed"])
def test_rows_that_move_keep_their_answers_and_only_new_ones_are_asked(tmp_path, server, bought, name, shard):
    arrange, new = ARRANGEMENTS[name]
    rows = arrange(asked_rows(ROWS))
    calls, _, table = run(tmp_path, server, rows, name=shard)
    assert calls == new
    assert is_right(table, rows)


def test_a_row_that_changes_is_one_call_and_the_old_answer_is_nowhere(tmp_path, server, bought):
    rows = asked_rows(ROWS)
    rows[7] = asked_row(700, row_id="row-7")
    calls, _, table = run(tmp_path, server, rows)
    assert calls == 1
    assert is_right(table, rows)
    assert bought[7]["raw_text"] not in {row["raw_text"] for row in table}


def test_above_temperature_0_an_answer_belongs_to_its_row(tmp_path, server):
    sampled = {"generation": GenerationConfig(max_new_tokens=16, temperature=1.0, samples=2)}
    rows = asked_rows(5)
    assert run(tmp_path, server, rows, **sampled)[0] == 10
    assert run(tmp_path, server, rows[::-1], name="other", **sampled)[0] == 0
    copies = [{**row, "row_id": f"copy-{row['row_id']}"} for row in rows]
    assert run(tmp_path, server, [*rows, *copies], **sampled)[0] == 10


def test_a_parser_that_is_mended_asks_nothing(tmp_path, server, bought, monkeypatch):
    monkeypatch.setattr(QA, "parse", lambda self, text, labels: text.upper())
    calls, _, table = run(tmp_path, server, asked_rows(ROWS))
    assert calls == 0
    assert [row["answer"] for row in table] == [row["raw_text"].upper() for row in bought]
    assert [row["raw_text"] for row in table] == [row["raw_text"] for row in bought]


def test_labels_that_change_ask_nothing_and_are_read_anew(tmp_path, server):
    server.script(choices=["Yes.", "no", "perhaps"])
    rows = asked_rows(ROWS, task="classification")
    one = run(tmp_path, server, rows, labels=["yes", "no"])[2]
    calls, _, other = run(tmp_path, server, rows, labels=["yes", "no", "perhaps"])
    assert calls == 0
    assert {row["raw_text"]: row["answer"] for row in one} == {"Yes.": "yes", "no": "no", "perhaps": None}
    assert {row["raw_text"]: row["answer"] for row in other} == {"Yes.": "yes", "no": "no", "perhaps": "perhaps"}


CHANGES = {
    "model": lambda server: {"faculty": Faculty(teachers=[(1.0, at(server, model="other"))])},
    "revision": lambda server: {"faculty": Faculty(teachers=[(1.0, at(server, revision="2"))])},
    "the provider's fields": lambda server: {"faculty": Faculty(teachers=[(1.0, at(server, extra_body={"k": 1}))])},
    "temperature": lambda server: {"generation": GenerationConfig(max_new_tokens=16, temperature=0.5)},
    "longest answer": lambda server: {"generation": GenerationConfig(max_new_tokens=17)},
    "prompting": lambda server: {"prompting": "chain_of_thought"},
}


@pytest.mark.parametrize("name", CHANGES)
def test_another_teacher_or_another_way_to_ask_is_a_full_miss_and_nothing_is_mixed(tmp_path, server, bought, name):
    server.script(choices=["new"])
    changes = CHANGES[name](server)
    calls, _, table = run(tmp_path, server, asked_rows(ROWS), **changes)
    assert calls == ROWS
    assert {row["raw_text"] for row in table} == {"new"}
    assert not {row["request_hash"] for row in table} & {row["request_hash"] for row in bought}
    assert run(tmp_path, server, asked_rows(ROWS))[2] == bought, "and back again costs nothing"


def test_a_prompt_that_changes_is_a_full_miss(tmp_path, server, bought):
    system = [{"role": "system", "content": "Be brief."}]
    rows = [{**row, "messages": system + row["messages"]} for row in asked_rows(ROWS)]
    calls, _, table = run(tmp_path, server, rows)
    assert calls == ROWS
    assert is_right(table, rows)
    assert not {row["raw_text"] for row in table} & {row["raw_text"] for row in bought}


@pytest.mark.parametrize(
    "changes", [{"concurrency": 1}, {"attempts": 3}, {"price": {"prompt": 1}}, {"timeout_seconds": 9}]
)
def test_how_fast_and_how_dearly_it_is_asked_makes_no_other_teacher(tmp_path, server, bought, changes):
    assert run(tmp_path, server, asked_rows(ROWS), faculty=Faculty(teachers=[(1.0, at(server, **changes))]))[0] == 0


def validated(raw, table):
    return select_examples(raw=raw, teacher=table, test=[], quality=QualityConfig(), learn="answer")


def test_an_answer_that_always_ends_by_length_is_bought_once_and_refused_by_name(tmp_path, server):
    server.script(rules=[{"match": "<3>", "fault": "say", "text": "half an", "finish_reason": "length"}])
    rows = asked_rows(8)
    calls, produced, table = run(tmp_path, server, rows)
    assert calls == 8
    assert (produced.counts.ok, produced.counts.truncated) == (8, 1)
    assert run(tmp_path, server, rows)[0] == 0
    assert run(tmp_path, server, rows, name="renamed")[0] == 0
    rejects = [(reject["row_id"], reject["code"]) for reject in validated(rows, table).rejects]
    assert rejects == [("row-3", "truncated")]


def test_a_request_that_failed_is_asked_again_and_nothing_else(tmp_path, server):
    server.script(rules=[{"match": "<5>", "fault": "status", "status": 400}])
    rows = asked_rows(8)
    _, produced, table = run(tmp_path, server, rows)
    assert (produced.counts.ok, produced.counts.failed, produced.errors) == (7, 1, {"http_400": 1})
    assert [reject["code"] for reject in validated(rows, table).rejects] == ["failed"]
    server.script()
    calls, _, table = run(tmp_path, server, rows)
    assert calls == 1
    assert is_right(table, rows)


def conversation(row_id, *asked):
    turns = [m for text in asked for m in ({"role": "user", "content": text}, {"role": "assistant", "content": "-"})]
    return raw_row(row_id, [{"role": "system", "content": "Be brief."}, *turns], [], task="conversation")


def dialogue(row):
    """The answers of a teacher that sees its own earlier answers."""
    history, said = [row["messages"][0]], []
    for message in row["messages"][1::2]:
        history.append(message)
        said.append(answer_to(history))
        history.append({"role": "assistant", "content": said[-1]})
    return said


def test_a_conversation_is_asked_turn_by_turn_over_the_teachers_own_replies(tmp_path, server):
    rows = [conversation("a", "Hi", "And now?", "Bye"), conversation("b", "Hi", "Bye"), conversation("c", "Hello")]
    calls, _, table = run(tmp_path, server, rows)
    assert calls == 5, "a and b open alike"
    for row in rows:
        turns = [line for line in table if line["row_id"] == row["row_id"]]
        assert [line["raw_text"] for line in turns] == dialogue(row)
        assert [line["turn"] for line in turns] == list(range(len(turns)))
    assert run(tmp_path, server, rows[::-1])[0] == 0
    longer = [conversation("a", "Hi", "And now?", "Bye", "Still there?"), *rows[1:]]
    assert run(tmp_path, server, longer)[0] == 1
    changed = [conversation("a", "Hi", "And then?", "Bye"), *rows[1:]]
    assert run(tmp_path, server, changed)[0] == 2, "the changed turn, and the one that follows it"


def test_what_follows_a_turn_that_failed_is_not_asked_but_counted(tmp_path, server):
    server.script(rules=[{"match": "And now?", "fault": "status", "status": 400}])
    rows = [conversation("a", "Hi", "And now?", "Bye", "Really"), conversation("b", "Hi", "Bye")]
    calls, produced, table = run_failing(tmp_path, server, rows)
    assert calls == 3
    assert (produced.counts.requests, produced.counts.ok, produced.counts.failed) == (6, 3, 3)
    assert [line["error_code"] for line in table[:4]] == [
        None,
        "http_400",
        "previous_turn_failed",
        "previous_turn_failed",
    ]
    server.script()
    calls, _, table = run_failing(tmp_path, server, rows)
    assert calls == 3
    assert [line["raw_text"] for line in table[:4]] == dialogue(rows[0])


def run_failing(folder, server, rows):
    before = server.counts()["total"]
    produced, table = generate(spec_for(folder, server, rows))
    return server.counts()["total"] - before, produced, table


NASTY = ["\ud83d half a pair", "\x00 null", "\u2028\u2029", "🎉" * 50, "</s><|im_end|>", '{"answer": "\udc00"}']


@pytest.mark.parametrize("prompting", ["plain", "chain_of_thought"])
def test_whatever_a_server_says_is_stored_and_comes_back_the_same(tmp_path, server, prompting):
    rules = [
        {"match": f"<{n}>", "fault": "say", "text": text, "message": {"reasoning_content": text}}
        for n, text in enumerate(NASTY)
    ]
    server.script(rules=rules)
    rows = asked_rows(len(NASTY) + 2)
    _, produced, table = run(tmp_path, server, rows, prompting=prompting)
    assert produced.counts.ok == len(rows)
    assert table[0]["raw_text"] == table[0]["reasoning"] == "\ufffd half a pair"
    assert [row["raw_text"] for row in table[1:5]] == NASTY[1:5]
    calls, again, same = run(tmp_path, server, rows, prompting=prompting)
    assert calls == 0
    assert lasting(same) == lasting(table)
    assert again.data_version == produced.data_version == hashing.rows_hash(table)


def test_a_segment_or_a_journal_that_is_deleted_is_paid_for_again_and_only_that(tmp_path, server, bought):
    run(tmp_path, server, asked_rows(6, start=100), name="second")
    segments = sorted((tmp_path / "responses" / "segments").glob("*.parquet"))
    assert len(segments) == 2
    Path(segments[1]).unlink()
    assert run(tmp_path, server, [*asked_rows(ROWS), *asked_rows(6, start=100)])[0] == 6
