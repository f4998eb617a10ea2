"""The set as a whole: every teacher row is an example or a reject, in any order of the rows."""

import json
import random

import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from distill_dagster.config import QualityConfig
from distill_dagster.quality.duplicates.prompt_keys import contamination_key, duplicate_key
from distill_dagster.quality.filters.reasons import REASONS, reject_row
from distill_dagster.quality.labels import labels_of
from distill_dagster.store import schemas
from testing.set_rows import answer, codes, raw, turn
from testing.sets import select_examples


def build(raws, answers, test=(), **quality):
    return select_examples(raws, answers, list(test), QualityConfig(**quality))


def thought(row_id, reason, choice, **more):
    text = json.dumps({"reason": reason, "answer_choice": choice})
    return answer(row_id, text, params='{"prompting":"chain_of_thought","temperature":0.0}', **more)


def test_an_answer_becomes_an_example_by_todays_parser():
    built = build([raw("a", "p", reference=["neutral"])], [answer("a", "Label: Neutral.")])
    assert built.examples == [
        {
            "row_id": "a",
            "sample": 0,
            "turn": 0,
            "shard": "s0",
            "split": "train",
            "task": "nli",
            "messages": [turn("system", "S"), turn("user", "p")],
            "answer": "neutral",
            "reasoning": None,
            "reference": ["neutral"],
            "label": "neutral",
            "gold_score": 1.0,
            "flags": ["rare_label"],
        }
    ]
    assert built.counts.model_dump() == {"teacher_rows": 1, "examples": 1, "train": 1, "validation": 0, "rejected": 0}
    pa.Table.from_pylist(built.examples, schemas.EXAMPLE)


def test_a_chain_of_thought_is_read_as_it_was_asked_and_the_student_sees_the_rows_own_messages():
    raws = [raw("a", "p", reference=["neutral"]), raw("b", "q", reference=["entailment"])]
    replies = [thought("a", "It is silent.", "Neutral."), answer("b", "entailment")]
    a, b = build(raws, replies).examples
    assert (a["answer"], a["reasoning"], a["label"]) == ("neutral", "It is silent.", "neutral")
    assert a["messages"] == [turn("system", "S"), turn("user", "p")]
    assert (b["answer"], b["reasoning"]) == ("entailment", None)
    (plain,) = build([raws[0]], [answer("a", replies[0]["raw_text"])]).examples
    assert (plain["answer"], plain["reasoning"]) == ("neutral", None)  # nobody asked for a reason


def test_a_student_may_learn_the_reasoning_too_and_the_facts_are_of_the_answers():
    raws = [raw("a", "p", reference=["neutral"]), raw("b", "q"), raw("c", "r", task="conversation")]
    replies = [thought("a", "It is silent.", "neutral"), thought("b", "", "neutral"), thought("c", "", "")]
    replies[2]["raw_text"] = "Hello!"
    built = select_examples(raws, replies, [], QualityConfig(), learn="reasoning_and_answer")
    assert [e["answer"] for e in built.examples] == ["It is silent.\n\nAnswer: neutral", "Hello!"]
    assert [e["label"] for e in built.examples] == ["neutral", None]
    assert codes(built) == {("b", "no_reasoning")}
    assert (built.facts.gold_agreement, built.facts.gold_agreement_kept) == (1, 1)
    assert built.facts.labels_after == {"neutral": 1}
    pa.Table.from_pylist(built.examples, schemas.EXAMPLE)


def test_thoughts_are_kept_from_the_text_or_from_beside_it_and_stay_out_of_later_turns():
    talk = raw("a", "u1", "g", "u2", "g", task="conversation")
    replies = [answer("a", "<think>Be kind.</think>t1"), answer("a", "t2", number=1, reasoning="Be brief.")]
    built = build([talk], replies)
    assert [(e["answer"], e["reasoning"]) for e in built.examples] == [("t1", "Be kind."), ("t2", "Be brief.")]
    assert [m["content"] for m in built.examples[1]["messages"]] == ["S", "u1", "t1", "u2"]


def test_one_reply_that_cannot_be_read_is_one_reject():
    raws = [raw(i, i) for i in "abc"]
    replies = [thought("a", "r", None), thought("b", "r", "neutral"), thought("c", "r", "neutral")]
    replies[2]["raw_text"] = replies[2]["raw_text"][:-3]
    built = build(raws, replies)
    assert [e["row_id"] for e in built.examples] == ["b"]
    assert codes(built) == {("a", "empty"), ("c", "off_form")}


def test_the_same_user_text_with_another_system_message_is_another_prompt():
    """Azure joins answers to rows by the user's text, and so confuses these two rows."""
    raws = [raw("a", "p"), raw("b", "p")]
    raws[1]["messages"][0] = turn("system", "Answer for a lawyer.")
    built = build(raws, [thought("a", "r", "neutral"), thought("b", "r", "entailment")])
    assert [(e["messages"][0]["content"], e["answer"]) for e in built.examples] == [
        ("S", "neutral"),
        ("Answer for a lawyer.", "entailment"),
    ]


def test_a_reject_says_which_row_and_why():
    built = build([raw("a", "p", shard="s3", line=7)], [answer("a", "perhaps")])
    (reject,) = built.rejects
    assert (reject["shard"], reject["line"], reject["stage"]) == ("s3", 7, "validated_synthetic_set")
    assert (reject["code"], reject["message"][:5], reject["snippet"]) == ("off_form", "E013:", "perhaps")
    assert built.counts.by_reason["off_form"] == 1
    pa.Table.from_pylist(built.rejects, schemas.REJECT)


def test_duplicate_prompts_keep_the_first_by_row_id_that_has_an_answer():
    raws = [raw("c", "Same  Prompt"), raw("b", "same prompt", shard="s1"), raw("a", "same prompt", shard="s2")]
    answers = [answer("c", "neutral"), answer("b", "neutral"), answer("a", "dunno")]
    built = build(raws, answers)
    assert [e["row_id"] for e in built.examples] == ["b"]
    assert codes(built) == {("c", "duplicate_prompt"), ("a", "off_form")}


def test_samples_of_one_row_are_not_duplicates():
    built = build([raw("a", "p")], [answer("a", "neutral", sample=n) for n in range(3)])
    assert built.counts.examples == 3


def test_an_id_of_two_rows_in_two_shards_is_refused():
    raws = [raw("a", "p"), raw("a", "q", shard="s1"), raw("b", "r"), raw("b", "r", shard="s1")]
    built = build(raws, [answer(i, "neutral") for i in "aabb"])
    assert sorted((r["row_id"], r["code"]) for r in built.rejects) == [
        ("a", "E011"),
        ("a", "E011"),
        ("b", "repeated_row"),
    ]
    assert "s0, s1" in built.rejects[0]["message"]


def test_a_prompt_of_the_test_set_is_not_trained_or_validated_on():
    raws = [raw("a", "What’s my PIN?"), raw("b", "other", split="validation"), raw("c", "what's my name")]
    test = [raw("t1", "what's my pin"), raw("t2", "Other!")]
    built = build(raws, [answer(i, "neutral") for i in "abc"], test)
    assert codes(built) == {("a", "contaminated"), ("b", "contaminated")}
    assert built.facts.contamination.copied_test_rows == ["t1", "t2"]
    assert "'t1'" in next(r["message"] for r in built.rejects if r["row_id"] == "a")


def test_another_task_may_ask_the_same():
    built = build([raw("a", "p")], [answer("a", "neutral")], [raw("t", "p", task="qa")])
    assert built.counts.examples == 1


def test_a_dialogue_is_compared_by_all_of_its_turns():
    talk = raw("a", "hi", "x", "bye", "y", task="conversation")
    assert contamination_key(talk) != contamination_key(raw("b", "hello", "x", "bye", "y", task="conversation"))
    assert contamination_key(talk) == contamination_key(raw("b", "Hi!", "z", "Bye.", "w", task="conversation"))
    assert duplicate_key(talk) == duplicate_key(raw("b", "Hi", "z", "bye", "w", task="conversation"))


def test_scripts_without_case_and_prompts_of_symbols_stay_apart():
    keys = {contamination_key(raw("a", text)) for text in ("???", "!!!", "हिंदी", "हद", "你好。", "再见")}
    assert len(keys) == 6
    assert contamination_key(raw("a", "ＡＢＣ　１")) == contamination_key(raw("a", "abc 1"))


def test_a_conversation_is_taught_with_the_teachers_own_replies():
    talk = raw("a", "u1", "gold 1", "u2", "gold 2", task="conversation")
    built = build([talk], [answer("a", "t2", number=1), answer("a", " t1 ")])
    assert [e["answer"] for e in built.examples] == ["t1", "t2"]
    assert [m["content"] for m in built.examples[1]["messages"]] == ["S", "u1", "t1", "u2"]
    assert [e["reference"] for e in built.examples] == [["gold 1"], ["gold 2"]]


def test_a_refused_turn_takes_the_later_ones_with_it():
    talk = raw("a", "u1", "g", "u2", "g", "u3", "g", task="conversation")
    answers = [answer("a", text, number=n) for n, text in enumerate(["t1", "None", "t3"])]
    built = build([talk], answers)
    assert [e["turn"] for e in built.examples] == [0]
    assert sorted(r["code"] for r in built.rejects) == ["earlier_turn", "placeholder"]
    assert "turn 1 of the conversation" in next(r["message"] for r in built.rejects if r["code"] == "earlier_turn")


def test_answers_to_unknown_rows_and_turns_are_refused():
    built = build([raw("a", "p")], [answer("x", "neutral"), answer("a", "neutral", number=1)])
    assert codes(built) == {("x", "unknown_row"), ("a", "unknown_row")}


def test_every_reason_has_a_sentence_of_its_own():
    messages = {reject_row(answer("a", "text"), None, reason, "r")["message"] for reason in REASONS}
    assert len(messages) == len(REASONS)


def test_the_label_cap_is_a_reason_like_the_others():
    raws = [raw(str(n), f"p {n}", line=n) for n in range(40)]
    answers = [answer(str(n), "neutral" if n < 30 else "entailment") for n in range(40)]
    built = build(raws, answers, max_label_share=0.6)
    assert built.facts.labels_before == {"neutral": 30, "entailment": 10}
    assert built.facts.labels_after == {"neutral": 15, "entailment": 10}
    assert built.counts.by_reason["label_cap"] == 15
    assert all(r["line"] == int(r["row_id"]) for r in built.rejects)


def test_labels_come_from_config_task_or_gold():
    rows = [
        raw("a", "p", task="classification", reference=["x"]),
        raw("b", "q", task="classification", reference=["w"]),
    ]
    held = raw("c", "r", task="classification", reference=["v"], split="validation")
    assert labels_of("classification", QualityConfig(), [*rows, held]) == ["w", "x"]
    assert labels_of("classification", QualityConfig(labels=["z"]), rows) == ["z"]
    assert labels_of("nli", QualityConfig(), rows) == ["entailment", "neutral", "contradiction"]
    assert labels_of("qa", QualityConfig(), rows) is None
    assert codes(build(rows, [answer("a", "X"), answer("b", "y")])) == {("b", "off_form")}


def test_facts_measure_agreement_on_training_rows_with_gold():
    raws = [raw(i, i, reference=["neutral"]) for i in "abc"]
    raws += [raw("d", "d"), raw("e", "e", reference=["neutral"], split="validation")]
    texts = {"a": "neutral", "b": "entailment", "c": "??", "d": "neutral", "e": "contradiction"}
    built = build(raws, [answer(i, text) for i, text in texts.items()])
    assert (built.facts.gold_agreement, built.facts.gold_agreement_kept) == (1 / 3, 1 / 2)
    assert (built.facts.rows_with_gold, built.facts.acceptance) == (3, 4 / 5)
    assert build([], []).facts.acceptance is None


TEXTS = st.sampled_from(["neutral", "Entailment.", "", "None", "what", "I'm sorry, but I can't help.", "contradiction"])
TASKS = st.sampled_from(["nli", "qa", "conversation", "math"])
RAWS = st.lists(
    st.builds(
        lambda row_id, texts, task, split, shard, gold: raw(
            row_id,
            *(texts if task == "conversation" else texts[:1]),
            task=task,
            split=split,
            shard=shard,
            reference=gold,
        ),
        st.sampled_from("abcd"),
        st.lists(st.sampled_from(["p", "q", "P!"]), min_size=4, max_size=4),
        TASKS,
        st.sampled_from(["train", "validation"]),
        st.sampled_from(["s0", "s1"]),
        st.lists(st.sampled_from(["neutral", "p"]), max_size=2),
    ),
    max_size=6,
)
ANSWERS = st.lists(
    st.builds(
        lambda row_id, text, sample, number, more: answer(row_id, text, sample, number, **more),
        st.sampled_from("abcde"),
        TEXTS | st.none(),
        st.integers(0, 1),
        st.integers(0, 2),
        st.sampled_from([{}, {}, {"finish_reason": "length"}, {"status": "failed", "finish_reason": "error"}]),
    ),
    max_size=14,
)


@settings(max_examples=40, deadline=None)
@given(RAWS, ANSWERS, RAWS, st.booleans(), st.randoms(use_true_random=False))
def test_counts_add_up_and_order_does_not_matter(raws, answers, test, gold, shuffler: random.Random):
    built = build(raws, answers, test[:1], require_gold_agreement=gold)
    counts = built.counts
    assert counts.teacher_rows == len(answers) == counts.examples + counts.rejected
    assert counts.examples == counts.train + counts.validation == len(built.examples)
    assert sum(counts.by_reason.values()) == counts.rejected == len(built.rejects)
    assert set(counts.by_reason) <= set(REASONS)
    keys = [(e["row_id"], e["sample"], e["turn"]) for e in built.examples]
    assert len(keys) == len(set(keys))
    for rows in (raws, answers):
        shuffler.shuffle(rows)
    again = build(raws, answers, test[:1], require_gold_agreement=gold)
    assert again == built
