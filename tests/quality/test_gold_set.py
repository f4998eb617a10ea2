"""The gold answers that the gold student learns: the set's rules for rows hold, those for a model's faults do not."""

import pytest

from distill_dagster.config import QualityConfig
from distill_dagster.quality.gold_set import build_gold_set
from distill_dagster.quality.specs import GoldSetSpec
from distill_dagster.store import files, parquet, schemas
from distill_dagster.tasks.prompts import prompts_of
from testing.set_rows import answer, raw, turn
from testing.sets import select_examples, select_gold


def gold_of(raws, test=(), learn="answer", **quality):
    """Examples and rejects as dictionaries, and the counts, which add up."""
    built = select_gold(raws, list(test), QualityConfig(**quality), learn)
    counts = built.counts
    assert counts.prompts == counts.no_gold + counts.examples + counts.rejected
    assert counts.by_reason == {code: n for code, n in counts.by_reason.items() if n}
    assert sum(counts.by_reason.values()) == counts.rejected
    return built.examples, built.rejects, counts


def test_a_gold_answer_becomes_the_example_that_a_right_teacher_would_give():
    held = raw("v", "r", reference=["entailment"], split="validation")
    raws = [raw("a", "p", reference=["Neutral"]), raw("b", "q"), held]
    examples, rejects, counts = gold_of(raws)
    taught = select_examples(raws, [answer("a", "neutral"), answer("v", "entailment")], [], QualityConfig()).examples
    assert examples == taught
    assert rejects == []
    assert counts.model_dump() == {
        **{"prompts": 3, "no_gold": 1, "examples": 2, "train": 1, "validation": 1, "rejected": 0},
    }


def test_every_prompt_is_counted_once():
    turns = [
        {"role": "user", "content": "Hello?"},
        {"role": "assistant", "content": "Yes."},
        {"role": "user", "content": "Which cup?"},
    ]
    raws = [
        raw("a", "p", reference=["neutral"]),
        raw("b", "q"),
        raw("c", "r", reference=["perhaps"]),
        raw("d", "p", reference=["entailment"]),
        {**raw("e", "s", task="conversation", reference=["The red one."]), "messages": turns},
    ]
    *_, counts = gold_of(raws)
    assert counts.prompts == sum(len(prompts_of(row)) for row in raws) == 6
    assert (counts.no_gold, counts.rejected) == (2, 2)


def test_rows_that_the_test_set_asks_and_duplicates_are_refused():
    raws = [
        raw("a", "What is it?", task="qa", reference=["one"]),
        raw("b", "What  is it?", task="qa", reference=["two"]),
        raw("c", "Held out?", task="qa", reference=["three"]),
    ]
    examples, rejects, _ = gold_of(raws, test=[raw("t", "held out", task="qa", split="test")])
    assert [example["row_id"] for example in examples] == ["a"]
    assert {(r["row_id"], r["code"], r["stage"]) for r in rejects} == {
        ("b", "duplicate_prompt", "gold_set"),
        ("c", "contaminated", "gold_set"),
    }


def test_two_rows_with_one_id_are_refused():
    raws = [raw("a", "p", reference=["neutral"]), raw("a", "q", reference=["entailment"], shard="s1")]
    _, rejects, _ = gold_of(raws)
    assert [(r["row_id"], r["code"]) for r in rejects] == [("a", "E011")]


def test_a_gold_answer_out_of_form_is_refused_and_one_that_declines_is_learned():
    raws = [
        raw("a", "p", reference=["perhaps"]),
        raw("b", "Can you help me?", task="qa", reference=["I'm sorry, but I can't help with that."]),
    ]
    examples, rejects, _ = gold_of(raws)
    assert [(r["row_id"], r["code"]) for r in rejects] == [("a", "off_form")]
    assert [example["row_id"] for example in examples] == ["b"]
    refused = select_examples(raws, [answer("b", raws[1]["reference"][0])], [], QualityConfig())
    assert [r["code"] for r in refused.rejects] == ["refusal"], "of a teacher it is a fault"


GSM8K = "Ana has 12 and gives 3 to jo@example.com. 12 - 3 = 9.\n#### 9"


@pytest.mark.parametrize(
    ("learn", "taught"),
    [("answer", "9"), ("reasoning_and_answer", f"{GSM8K.partition('####')[0].strip()}\n\n#### 9")],
)
def test_the_reasoning_of_a_gold_answer_is_learned_where_the_student_learns_reasoning(learn, taught):
    raws = [raw("a", "p", task="math", reference=[GSM8K]), raw("b", "q", task="math", reference=["4"])]
    examples, _, _ = gold_of(raws, learn=learn)
    assert [example["answer"] for example in examples] == [taught, "4"]
    _, rejects, _ = gold_of(raws, learn=learn, personal_data="reject")
    assert [r["code"] for r in rejects] == (["personal_data"] if learn == "reasoning_and_answer" else [])


def test_a_turn_that_is_no_gold_answer_stays_as_text_for_the_turns_behind_it():
    row = {**raw("a", "Hi", "Go away.", "Sorry?", "How can I help?", task="conversation"), "not_gold": [2]}
    examples, _, counts = gold_of([row])
    assert (counts.prompts, counts.no_gold) == (2, 1)
    (example,) = examples
    assert (example["turn"], example["answer"]) == (1, "How can I help?")
    assert example["messages"] == row["messages"][:4]


def test_behind_a_refused_turn_nothing_is_learned():
    row = raw("a", "Hi", "I am jo@example.com.", "And?", "Fine.", task="conversation")
    _, rejects, _ = gold_of([row], personal_data="reject")
    assert [(r["code"]) for r in rejects] == ["personal_data", "earlier_turn"]


def test_the_cap_on_labels_holds():
    raws = [raw(f"a{i}", f"p{i}", reference=["neutral"]) for i in range(6)]
    raws += [raw(f"b{i}", f"q{i}", reference=[label]) for i, label in enumerate(["entailment", "contradiction"] * 2)]
    _, rejects, counts = gold_of(raws, max_label_share=0.5, near_duplicate_similarity=None)
    assert {r["code"] for r in rejects} == {"label_cap"}
    assert (counts.train, counts.rejected) == (8, 2)


def test_the_worker_writes_the_set_as_a_training_reads_it(tmp_path):
    for shard, rows in {"s0": [raw("b", "p", reference=["neutral"])], "s1": [raw("a", "q", shard="s1")]}.items():
        parquet.write_table(tmp_path / f"{shard}.parquet", rows, schemas.RAW)
    parquet.write_table(tmp_path / "test.parquet", [raw("t", "another", split="test")], schemas.RAW)
    paths = [str(tmp_path / f"{shard}.parquet") for shard in ("s0", "s1")]
    out = tmp_path / "out"
    out.mkdir()
    spec = GoldSetSpec(
        raw=paths,
        test=str(tmp_path / "test.parquet"),
        quality=QualityConfig(),
        learn="answer",
        out=str(out),
        work=str(tmp_path / "work"),
    )
    result = build_gold_set(GoldSetSpec.model_validate_json(spec.model_dump_json()), "cpu")
    (example,) = parquet.read_table(out / files.EXAMPLES_FILE)
    assert example["messages"] == [turn("system", "S"), turn("user", "p"), turn("assistant", "neutral")]
    assert parquet.read_table(out / files.REJECTS_FILE) == []
    assert (result.counts.prompts, result.counts.no_gold, result.shards) == (2, 1, 2)
