"""The chance level of each kind of task, and a teacher beside it."""

import pytest

from distill_dagster.evaluation.chance import Chance, Standing, chance_level


def rows(task, golds):
    return [{"row_id": str(i), "task": task, "reference": [gold]} for i, gold in enumerate(golds)]


@pytest.mark.parametrize(
    ("task", "golds", "labels", "score", "who"),
    [
        ("nli", ["neutral"] * 5 + ["entailment"] * 3 + ["contradiction"] * 2, None, 0.5, "always answering 'neutral'"),
        ("classification", ["a", "B", "c", "b"], ["a", "b", "c"], 0.5, "always answering"),
        ("math", ["1", "7", "7.0", "7", "3"], None, 0.6, "always answering '7'"),
        ("math", ["1", "2", "3", "4"], None, 0.0, "giving the gold answer of another row"),
        ("summarization", ["the cat sat", "the dog ran", "the bird flew"], None, 1 / 3, "giving the gold answer"),
        ("qa", ["Paris"], None, 0.0, "giving the gold answer of another row"),
    ],
)
def test_the_level_is_that_of_the_best_answer_without_reading_the_prompt(task, golds, labels, score, who):
    found = chance_level(task, rows(task, golds), labels)
    assert found.score == pytest.approx(score)
    assert found.who.startswith(who)


def test_a_conversation_is_one_item_whose_score_is_the_mean_of_its_turns():
    turns = [
        {"row_id": name, "task": "nli", "reference": [gold]}
        for name, gold in [("one", "neutral"), ("one", "entailment"), ("two", "neutral")]
    ]
    assert chance_level("nli", turns).score == pytest.approx(0.75)


@pytest.mark.parametrize(
    ("low", "high", "says"),
    [(0.51, 0.7, "above the 50.0%"), (0.45, 0.6, "which is not shown to be above the 50.0%"), (0.2, 0.49, "below the")],
)
def test_a_standing_is_decided_by_the_interval(low, high, says):
    standing = Standing("nli", (low + high) / 2, low, high, Chance(0.5, "always answering 'neutral'"))
    assert says in str(standing)
    assert (standing.is_above, standing.is_below) == (low > 0.5, high < 0.5)
