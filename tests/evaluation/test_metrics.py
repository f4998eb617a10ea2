"""Metrics: known values, agreement with the tasks' own scores, and answers that could not be parsed."""

import math

import evaluate
import pytest

from distill_dagster.evaluation.metrics import compute, load_metric
from distill_dagster.tasks import get_task

CASES = {  # task -> (text of the model, gold answers)
    "nli": [
        ("Entailment.", ["entailment"]),
        ("neutral", ["contradiction"]),
        ("who knows", ["neutral"]),
        ("neutral", ["neutral"]),
    ],
    "classification": [("Card_arrival", ["card_arrival"]), ("lost", ["card_arrival"]), ("x\ny", ["lost"])],
    "math": [("so 12 * 1.5 = 18.\n#### $18.00", ["18"]), ("It is 7", ["8"]), ("no idea", ["3"])],
    "qa": [("The Eiffel Tower.", ["the tower", "Eiffel tower"]), ("a red car", ["red truck"]), ("   ", ["x"])],
    "summarization": [("police killed the gunman", ["police kill the gunman"]), ("", ["something"])],
    "conversation": [("Your order ships on Monday.", ["It ships on Monday."]), ("No", ["Yes"])],
}


def predictions(task: str) -> list[dict]:
    return [
        {"task": task, "parsed": get_task(task).parse(text, None), "reference": reference}
        for text, reference in CASES[task]
    ]


@pytest.mark.parametrize("task", CASES)
def test_headline_is_the_mean_of_the_tasks_own_scores(task):
    rows = predictions(task)
    values = compute(task, rows)
    scores = [get_task(task).score(row["parsed"], row["reference"]) for row in rows]
    assert next(iter(values)) == get_task(task).metric
    assert values[get_task(task).metric] == pytest.approx(math.fsum(scores) / len(scores))
    assert 0 < values[get_task(task).metric] < 1  # every case has a right answer and a wrong one


@pytest.mark.parametrize(
    ("task", "name", "value"),
    [
        ("nli", "accuracy", 2 / 4),
        ("nli", "macro_f1", (1 + 0 + 0.5) / 3),  # entailment; contradiction; neutral: TP 1, FP 1, FN 1
        ("classification", "accuracy", 1 / 3),
        ("classification", "macro_f1", (2 / 3 + 0) / 2),  # card_arrival: TP 1, FN 1; lost: FP 1, FN 1
        ("math", "accuracy", 1 / 3),
        ("qa", "exact_match", 1 / 3),
        ("qa", "token_f1", (1 + 0.5 + 0) / 3),  # "red car" and "red truck" share one word of two
        ("summarization", "rouge_l", 1 / 2),  # stemmed: killed = kill
        ("summarization", "rouge_1", 1 / 2),
        ("summarization", "rouge_2", 1 / 2),
        ("conversation", "distinct_2", 1),
        (
            "conversation",
            "rouge_l",
            (2 * (3 / 5) * (3 / 4) / (3 / 5 + 3 / 4)) / 2,
        ),  # ships on monday of 5 and of 4 words
    ],
)
def test_known_values(task, name, value):
    assert compute(task, predictions(task))[name] == pytest.approx(value)


def test_rouge_n_counts_words_and_pairs_in_any_order():
    rows = [{"parsed": "b a c", "reference": ["a b c", "z"]}, {"parsed": None, "reference": ["a b c"]}]
    assert compute("summarization", rows) == pytest.approx(
        {"rouge_l": 1 / 3, "rouge_1": 1 / 2, "rouge_2": 0, "bleu": 0}
    )


def test_distinct_2_is_low_for_a_model_that_gives_everyone_the_same_reply():
    rows = [{"parsed": "how can I help", "reference": ["x"]} for _ in range(4)]
    assert compute("conversation", rows)["distinct_2"] == 3 / 12
    rows += [{"parsed": "No", "reference": ["x"]}, {"parsed": None, "reference": ["x"]}]
    assert compute("conversation", rows)["distinct_2"] == 3 / 12


def test_macro_f1_agrees_with_its_definition_where_classes_are_uneven():
    gold = ["a"] * 8 + ["b"] * 2
    given = ["a"] * 8 + ["a", None]
    rows = [{"task": "classification", "parsed": g, "reference": [r]} for g, r in zip(given, gold, strict=True)]
    assert compute("classification", rows) == pytest.approx({"accuracy": 0.8, "macro_f1": (2 * 8 / 17 + 0) / 2})


def test_metrics_compose_with_evaluate():
    both = evaluate.combine(list(load_metric("qa").values()))
    values = both.compute(predictions=["red car"], references=[["the red car", "a truck"]])
    assert values == {"exact_match": 1.0, "token_f1": 1.0}


def test_rows_without_reference_are_refused():
    with pytest.raises(ValueError, match="leave unscored rows out"):
        compute("qa", [{"task": "qa", "parsed": "x", "reference": []}])


@pytest.mark.parametrize("task", CASES)
def test_a_model_that_never_answers_in_form_scores_zero(task):
    rows = [{"task": task, "parsed": None, "reference": reference} for _, reference in CASES[task]]
    assert set(compute(task, rows).values()) == {0.0}
