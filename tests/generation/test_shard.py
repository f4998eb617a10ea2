"""Every prompt has a row, equal requests are computed once, and a teacher sees its own earlier answers."""

import itertools
from pathlib import Path

import pytest

from distill_dagster.config import GenerationConfig, SmokeConfig
from distill_dagster.generation import shard as shard_module
from distill_dagster.generation.shard import generate_shard
from distill_dagster.generation.specs import GenerateSpec
from distill_dagster.models.decoding import complete
from distill_dagster.models.loading import load
from distill_dagster.store import hashing, parquet
from distill_dagster.teachers.faculty import Faculty
from distill_dagster.teachers.protocol import PREVIOUS_TURN_FAILED
from testing.models_tiny import raw_row, rows, write_model, write_rows

GREEDY = GenerationConfig(max_new_tokens=6, batch_tokens=512)


@pytest.fixture(scope="module")
def teacher(tmp_path_factory):
    return write_model(tmp_path_factory.mktemp("teacher") / "tiny")


@pytest.fixture
def generate(tmp_path, teacher):
    """Answer a shard of raw rows: (result, teacher rows)."""

    number = itertools.count()

    def generated(table, generation=GREEDY, model=teacher):
        spec = GenerateSpec(
            faculty=Faculty(teachers=[(1.0, model)]),
            generation=generation,
            smoke=SmokeConfig(rows=0),
            rows=write_rows(tmp_path / "raw.parquet", table),
            responses=str(tmp_path / f"responses-{next(number)}"),
            journal="shard",
            out=str(tmp_path),
        )
        produced = generate_shard(spec, "cpu")
        return produced, parquet.read_table(tmp_path / "teacher.parquet")

    return generated


def conversation(row_id, *asked, placeholder="-"):
    turns = [
        m for text in asked for m in ({"role": "user", "content": text}, {"role": "assistant", "content": placeholder})
    ]
    return raw_row(row_id, [{"role": "system", "content": "Be brief."}, *turns], [], task="conversation")


def test_every_prompt_has_a_row_in_the_order_of_the_shard(generate):
    table = rows(9)
    produced, answered = generate(table)
    assert [row["row_id"] for row in answered] == [row["row_id"] for row in table]
    assert produced.counts.requests == produced.counts.ok + produced.counts.failed == 9
    assert produced.data_version == hashing.rows_hash(answered)
    assert all(row["params"] == '{"max_new_tokens":6,"prompting":"plain","temperature":0.0}' for row in answered)


def test_a_second_run_gives_the_same_data_version_whatever_the_batches(generate):
    first, _ = generate(rows(9))
    again, _ = generate(rows(9), GREEDY.model_copy(update={"batch_tokens": 64}))
    assert first.data_version == again.data_version


def test_equal_prompts_are_one_call_when_greedy(generate):
    table = [{**row, "row_id": f"{row['row_id']}-{copy}"} for copy in range(3) for row in rows(4)]
    produced, answered = generate(table)
    assert produced.asked == 4
    assert len({row["request_hash"] for row in answered}) == 4
    assert [row["raw_text"] for row in answered[:4]] == [row["raw_text"] for row in answered[4:8]]
    assert produced.completion_tokens == sum(row["completion_tokens"] for row in answered[:4])


def test_equal_prompts_draw_their_own_when_sampled(generate):
    table = [{**rows(1)[0], "row_id": f"copy-{i}"} for i in range(4)]
    sampled = GenerationConfig(max_new_tokens=8, temperature=1.0, samples=2)
    produced, answered = generate(table, sampled)
    assert [(row["row_id"], row["sample"]) for row in answered][:3] == [("copy-0", 0), ("copy-0", 1), ("copy-1", 0)]
    assert len({row["request_hash"] for row in answered}) == produced.asked == 8
    assert len({row["raw_text"] for row in answered}) > 1


def test_a_hash_follows_what_decides_the_answer_and_nothing_else(generate, teacher):
    def hashes(**changes):
        return [row["request_hash"] for row in generate(rows(2), GREEDY.model_copy(update=changes))[1]]

    assert hashes(batch_tokens=4096) == hashes()
    assert not set(hashes(max_new_tokens=7)) & set(hashes())
    assert not set(hashes(temperature=0.5)) & set(hashes())
    renamed = teacher.model_copy(update={"revision": "other"})
    assert not {row["request_hash"] for row in generate(rows(2), model=renamed)[1]} & set(hashes())


def test_a_conversation_is_answered_turn_by_turn_over_the_teachers_own_replies(generate, teacher):
    _, answered = generate([conversation("c", "Hello door", "And the red cup?", "Bye"), *rows(1)])
    turns = [row for row in answered if row["row_id"] == "c"]
    assert [row["turn"] for row in turns] == [0, 1, 2]
    history = [{"role": "system", "content": "Be brief."}]
    for row, asked in zip(turns, ["Hello door", "And the red cup?", "Bye"], strict=True):
        history.append({"role": "user", "content": asked})
        (expected,) = complete(load(teacher, "cpu"), [history], max_new_tokens=6, batch_tokens=512)
        assert row["raw_text"] == expected.text
        history.append({"role": "assistant", "content": expected.text})


def test_the_placeholders_of_a_conversation_do_not_matter(generate):
    _, one = generate([conversation("c", "Hello", "Bye", placeholder="-")])
    _, other = generate([conversation("c", "Hello", "Bye", placeholder="something else")])
    assert [row["request_hash"] for row in one] == [row["request_hash"] for row in other]


def test_a_failed_turn_takes_the_later_ones_with_it(generate):
    table = [conversation("c", "Hello", "long " * 200, "Bye"), conversation("d", "Hello", "Bye")]
    produced, answered = generate(table)
    by_turn = {(row["row_id"], row["turn"]): (row["status"], row["error_code"]) for row in answered}
    assert by_turn == {
        ("c", 0): ("ok", None),
        ("c", 1): ("failed", "E010"),
        ("c", 2): ("failed", PREVIOUS_TURN_FAILED),
        ("d", 0): ("ok", None),
        ("d", 1): ("ok", None),
    }
    assert all(row["raw_text"] is None and row["answer"] is None for row in answered if row["status"] == "failed")
    assert produced.counts.requests == 5
    assert (produced.counts.ok, produced.counts.failed) == (3, 2)
    assert produced.errors == {"E010": 1, PREVIOUS_TURN_FAILED: 1}
    assert answered[1]["request_hash"] != answered[2]["request_hash"]


def test_an_empty_shard_is_an_empty_table(generate):
    produced, answered = generate([])
    assert answered == []
    assert produced.counts.requests == 0


def test_progress_counts_every_request(generate):
    from distill_dagster.progress import listen

    heard = []
    with listen(lambda progress: heard.append((progress.done, progress.total))):
        generate([conversation("c", "Hello", "long " * 200, "Bye"), *rows(2), *rows(2)])
    assert heard[-1] == (7, 7)


@pytest.mark.processes
def test_the_room_does_not_load_torch_when_it_is_imported():
    import subprocess
    import sys

    code = f"import sys, {shard_module.__name__}; print('torch' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=Path(__file__).parents[2]
    )
    assert done.stdout.strip() == "False"
