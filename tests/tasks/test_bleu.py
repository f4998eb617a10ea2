"""BLEU: the library's own for English, by characters where a script has no blanks."""

import pytest
from sacrebleu.metrics.bleu import BLEU

from distill_dagster.tasks.bleu import bleu

ANSWERS = ["the cat sat on the mat", "It ships on Monday, by noon.", "nothing alike"]
GOLD = [["the cat is on the mat"], ["It will ship on Monday by noon."], ["quite another text"]]


def test_it_is_sacrebleus_corpus_score():
    expected = BLEU().corpus_score(ANSWERS, [[own[0] for own in GOLD]]).score / 100
    assert bleu(ANSWERS, GOLD) == pytest.approx(expected)
    assert 0.2 < expected < 0.6


def test_by_hand():
    assert bleu(ANSWERS[:1], GOLD[:1]) == pytest.approx((5 / 6 * 3 / 5 * 1 / 4 * 1 / 6) ** 0.25)


def test_rows_may_have_different_numbers_of_gold_answers():
    more = [[*GOLD[0], "the cat sat on the mat"], *GOLD[1:]]
    assert bleu(ANSWERS, more) > bleu(ANSWERS, GOLD)
    assert bleu(ANSWERS[:1], [["x", "y", ANSWERS[0]]]) == pytest.approx(1)


@pytest.mark.parametrize("text", ["我喜欢猫和狗", "แมวนอนบนเตียง", "Кошка спит на окне", "ねこが寝ている"])
def test_any_script(text):
    assert bleu([text], [[text]]) == pytest.approx(1)
    assert bleu([None], [[text]]) == 0
    assert bleu(["żółw"], [[text]]) == 0


def test_chinese_is_compared_by_characters():
    answer, gold = "我喜欢猫和狗", "我喜欢猫和鸟"
    assert bleu([answer], [[gold]]) == pytest.approx(BLEU(tokenize="zh").corpus_score([answer], [[gold]]).score / 100)
