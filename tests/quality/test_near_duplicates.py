"""Nearly equal prompts: duplicates among the rows, and prompts of held-out rows."""

import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from distill_dagster.config import QualityConfig
from distill_dagster.quality.duplicates.near import near_duplicate
from distill_dagster.quality.duplicates.shingles import (
    NO_BAND,
    bands_of,
    hash_shingles,
    jaccard,
    shingles_of,
    template_of,
)
from distill_dagster.quality.examples.diversity import distinct, spread
from distill_dagster.quality.specs import RightWrong
from testing.set_rows import answer, codes, raw
from testing.sets import select_examples

LONG = (
    "Could you tell me how and where I can find the blue card that I have ordered from you a week ago, "
    "if it is on its way at all, please?"
)
WORDS = "the lamp on my desk does not light up any more since the day when we moved house".split()  # noqa: SIM905
INSTRUCTION = "Classify the following message of a customer by what it is that the customer wants to be done. "


def build(raws, answers, test=(), **quality):
    return select_examples(raws, answers, list(test), QualityConfig(**quality))


def answers_to(raws, text="yes"):
    return [answer(row["row_id"], text) for row in raws]


def test_shingles_are_hashed_text_by_text():
    hashes, offsets = hash_shingles(["card pin", "", "hi", "card pins"])
    assert offsets.tolist() == [0, 4, 4, 5, 10]
    assert hashes[:4].tolist() == hashes[5:9].tolist()
    assert len(set(hashes.tolist())) == 6
    assert shingles_of("card pin") == {"card ", "ard p", "rd pi", "d pin"}
    assert jaccard(shingles_of("card pin"), shingles_of("card pins")) == 4 / 5


@given(st.text(min_size=30, max_size=120), st.integers(0, 10_000))
def test_texts_that_differ_by_a_character_in_a_hundred_share_a_band(text, seed):
    text = text * 4
    one, other = shingles_of(text), shingles_of(text[:-1])
    bands = bands_of([text, text[:-1], ""], frozenset())
    if jaccard(one, other) >= 0.97:
        assert (bands[0] == bands[1]).any()
    assert (bands[2] == NO_BAND).all()
    assert np.array_equal(bands, bands_of([text, text[:-1], ""], frozenset()))


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        (LONG, LONG.replace("ordered", "orderd"), True),
        (LONG, LONG.upper().replace("?", ""), True),
        (LONG, LONG.replace("can find", "cannot find"), False),
        (f"I have 3 cards. {LONG}", f"I have 4 cards. {LONG}", False),
        (f"{LONG} Is it blue?", f"{LONG} Is it lost?", False),
        (f"Premise: {LONG}\nHypothesis: A cat.", f"Premise: {LONG}\nHypothesis: A dog.", False),
        ("What is 3 + 4?", "What is 3 - 4?", False),
        ("A is bigger. B is smaller than A.", "B is smaller than A. A is bigger.", False),
    ],
)
def test_near_duplicates_ask_the_same_in_every_sentence(one, other, same):
    assert near_duplicate(one, other, 0.9) is same
    assert near_duplicate(other, one, 0.9) is same


def test_a_near_duplicate_is_refused_and_the_first_by_row_id_stays():
    raws = [raw("b", LONG, task="qa"), raw("a", LONG.replace("ordered", "orderd"), task="qa"), raw("c", "x", task="qa")]
    built = build(raws, answers_to(raws))
    assert codes(built) == {("b", "near_duplicate")}
    assert "'a' asks nearly the same" in built.rejects[0]["message"]
    assert build(raws, answers_to(raws), near_duplicate_similarity=None).counts.rejected == 0


def test_other_answers_other_gold_and_other_system_messages_make_other_prompts():
    typo = LONG.replace("ordered", "orderd")
    gold = [raw("a", LONG, task="qa", reference=["yes"]), raw("b", typo, task="qa", reference=["no"])]
    assert build(gold, answers_to(gold)).counts.examples == 2
    plain = [raw("a", LONG, task="nli"), raw("b", typo, task="nli")]
    assert build(plain, [answer("a", "neutral"), answer("b", "entailment")]).counts.examples == 2
    system = [raw("a", LONG, task="qa"), raw("b", typo, task="qa")]
    system[1]["messages"][0]["content"] = "Answer for a lawyer."
    assert build(system, answers_to(system)).counts.examples == 2


def test_a_row_that_was_refused_makes_nothing_a_duplicate():
    raws = [raw("a", LONG, task="conversation"), raw("b", LONG.replace("ordered", "orderd"), task="conversation")]
    built = build(raws, [answer("a", "None"), answer("b", "Yes.")])
    assert codes(built) == {("a", "placeholder")}


def test_a_long_item_is_found_by_its_ngrams_and_a_short_one_by_its_shingles():
    item = " ".join(WORDS)
    raws = [
        raw("a", f"Hello. {' '.join(WORDS[:13])} so help me", task="qa"),  # 13 of 18 words
        raw("b", f"{' '.join(WORDS[:8])} and much else", task="qa"),  # 8 of 18
        raw("c", "my new bank card is broken now", task="qa"),
        raw("d", "my old bank card was stolen now", task="qa"),
    ]
    test = [raw("t1", item, task="qa"), raw("t2", "my new bank card is brokn now", task="qa")]
    built = build(raws, answers_to(raws), [*test, raw("t3", "my new bank card is broken now s", task="qa")])
    assert codes(built) == {("a", "contaminated"), ("c", "contaminated")}
    assert built.facts.contamination.contaminated_questions == {"n-grams": 1, "shingles": 1}
    assert built.facts.contamination.not_seen_by_ngrams == pytest.approx(1 / 3)
    assert "'t1' shares 8-grams over 72% of its words" in built.rejects[0]["message"]
    exact = build(raws, answers_to(raws), test, contamination="exact")
    assert exact.counts.rejected == 0
    assert exact.facts.contamination.not_seen_by_ngrams is None
    assert exact.facts.contamination.copied_test_rows == []


def test_what_a_template_says_is_not_what_a_row_asks():
    draw = random.Random(0)
    said = [" ".join(draw.sample(WORDS, 6)) for _ in range(60)]
    raws = [raw(f"r{i:02}", INSTRUCTION + text, task="qa") for i, text in enumerate(said[:30])]
    test = [raw(f"t{i:02}", INSTRUCTION + text, task="qa") for i, text in enumerate(said[30:])]
    assert template_of([INSTRUCTION + text for text in said]) > shingles_of(INSTRUCTION[:60])
    built = build(raws, answers_to(raws), [*test, {**raws[7], "row_id": "same"}])
    assert codes(built) == {("r07", "contaminated")}


def test_ngrams_of_many_rows_are_their_template():
    frame = "my name is {0} and i would like to know where the lamp is that i have ordered from you in {0}"
    raws = [raw(f"r{i:02}", frame.format(f"town{i}"), task="qa") for i in range(30)]
    few = build(raws[:10], answers_to(raws[:10]), [raw("t", frame.format("elsewhere"), task="qa")])
    many = build(raws, answers_to(raws), [raw("t", frame.format("elsewhere"), task="qa")])
    assert few.counts.by_reason["contaminated"] == 10
    assert "contaminated" not in many.counts


def test_punctuation_becomes_blanks():
    asked = {"a": "What’s my pin", "b": "top-up?", "c": "whats my pin", "d": "topup"}
    raws = [raw(row_id, text, task="qa") for row_id, text in asked.items()]
    test = [raw("t", "What's my PIN?", task="qa"), raw("u", "Top up", task="qa")]
    assert codes(build(raws, answers_to(raws), test)) == {("a", "contaminated"), ("b", "contaminated")}


def test_a_length_outside_the_percentiles_is_a_flag_and_refuses_nothing():
    raws = [raw(f"{i:03}", f"p {i}", task="conversation") for i in range(400)]
    texts = ["word " * (20 + i % 10) for i in range(398)] + ["x", "word " * 200]
    built = build(raws, [answer(row["row_id"], text) for row, text in zip(raws, texts, strict=True)])
    assert [e["row_id"] for e in built.examples if "length" in e["flags"]] == ["398", "399"]
    assert built.facts.flags == {"length": 2}
    few = build(raws[-100:], [answer(row["row_id"], text) for row, text in zip(raws[-100:], texts[-100:], strict=True)])
    assert few.facts.flags == {}


def test_personal_data_is_kept_flagged_redacted_or_rejected():
    asked = "Mail ana@example.org what she owes."
    raws = [raw("a", asked, "g", "And now?", "g", task="conversation"), raw("b", "Hi.", "g", task="conversation")]
    answers = [answer("a", "Done, ana@example.org has it."), answer("a", "No.", number=1), answer("b", "Hello there.")]
    flags = {"keep": [[], [], []], "flag": [["personal_data"]] * 2 + [[]], "redact": [["personal_data"]] * 2 + [[]]}
    built = {way: build(raws, answers, personal_data=way) for way in (*flags, "reject")}
    assert {way: [e["flags"] for e in built[way].examples] for way in flags} == flags
    assert built["keep"].examples[0]["answer"] == built["flag"].examples[0]["answer"] == "Done, ana@example.org has it."
    assert "ana@" not in str(built["redact"].examples)
    assert codes(built["reject"]) == {("a", "personal_data"), ("a", "earlier_turn")}


def test_a_filter_is_shown_against_gold_by_right_and_by_wrong_answers():
    raws = [raw(str(i), f"p {i}", task="math", reference=["4"]) for i in range(6)]
    texts = ["4", "5", "I cannot assist with that. #### 4", "I cannot assist with that. #### 5", "?", "It is 4."]
    built = build(raws, [answer(str(i), text) for i, text in enumerate(texts)])
    found = built.facts.against_gold
    assert (found.right, found.wrong) == (3, 3)
    assert found.filters["refusal"] == RightWrong(right=1, wrong=1)
    assert found.filters["off_form"] == RightWrong(wrong=1)
    assert found.filters["repetition"] == RightWrong()
    assert [e["gold_score"] for e in built.examples] == [1, 0, 1]


def test_what_validation_asks_is_not_trained_on_and_stays_in_validation():
    raws = [raw("b", LONG, task="qa"), raw("v", LONG.upper(), task="qa", split="validation"), raw("c", "x", task="qa")]
    built = build(raws, answers_to(raws))
    assert codes(built) == {("b", "contaminated")}
    assert "validation row 'v'" in built.rejects[0]["message"]
    copies = [raw("a", "p", task="qa"), raw("a", "p", task="qa", split="validation", shard="s1")]
    assert build(copies, answers_to(copies[:1])).counts.validation == 1


TEXTS = st.sampled_from(
    [LONG, LONG.replace("card", "cards"), LONG.replace("you,", "you"), LONG + " Thanks.", "Hi", "hi!"]
)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.sampled_from("abcdefgh"), TEXTS), max_size=8), st.randoms(use_true_random=False))
def test_near_rules_add_up_in_any_order(asked, shuffler):
    raws = [raw(row_id, text, task="qa", split="validation" if row_id == "h" else "train") for row_id, text in asked]
    answers = answers_to(raws)
    built = build(raws, answers, [raw("t", LONG + "!", task="qa")][: len(raws) % 2])
    assert built.counts.examples + built.counts.rejected == len(answers)
    shuffler.shuffle(raws)
    shuffler.shuffle(answers)
    again = build(raws, answers, [raw("t", LONG + "!", task="qa")][: len(raws) % 2])
    assert again == built


def test_diversity_is_0_for_one_prompt_over_and_over():
    assert spread([["a", "b"]] * 5) == pytest.approx(0)
    assert spread([["a", "b"], ["c", "d"], ["e", "f"]]) == pytest.approx(1)
    assert spread([["a"]]) is None
    assert distinct([["a", "b", "a"], ["a", "b"]], 1) == 2 / 5
    assert distinct([["a", "b", "a"], ["a", "b"]], 2) == 2 / 3
