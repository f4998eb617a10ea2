"""Labels: every form of a label means it, no two labels are merged, and all rooms compare them alike."""

import pytest

from distill_dagster.config import QualityConfig
from distill_dagster.evaluation.metrics import compute
from distill_dagster.generation.choosing import agreements
from distill_dagster.quality.labels import labels_of
from distill_dagster.report.classes import class_tables
from distill_dagster.tasks import get_task
from distill_dagster.tasks.labels import label_key, match_label
from tests.tasks.label_texts import APART, CORRECTED, FORMS, NOT_CORRECTED, STATED

TASK = get_task("classification")


@pytest.mark.parametrize(("labels", "text", "label"), FORMS + APART)
def test_a_text_means_one_label_or_none(labels, text, label):
    assert match_label(text, labels) == label
    assert TASK.parse(text, labels) == label
    assert TASK.parse(f"Because.\n\n**Answer:** {text}", labels) == label


@pytest.mark.parametrize(("labels", "text", "label"), FORMS)
def test_a_gold_answer_in_any_form_is_its_label(labels, text, label):
    assert TASK.score(label, [text], labels) == 1
    assert TASK.score(None, [text], labels) == 0


@pytest.mark.parametrize("labels", {tuple(labels) for labels, _, _ in FORMS + APART})
def test_every_label_is_itself_and_no_other(labels):
    for mine in labels:
        assert match_label(mine, labels) == mine
        for theirs in labels:
            assert TASK.score(mine, [theirs], labels) == (mine == theirs)


@pytest.mark.parametrize(("text", "label"), STATED)
def test_where_a_text_states_its_label(text, label):
    assert get_task("nli").parse(text, None) == label


@pytest.mark.parametrize(("text", "label"), CORRECTED + NOT_CORRECTED)
def test_the_label_is_the_last_one_that_a_text_states(text, label):
    assert get_task("nli").parse(text, None) == label


@pytest.mark.parametrize(
    ("text", "labels", "label"),
    [
        ("A) Paris", ["Paris", "Rome"], "Paris"),
        ("A) Paris", ["A", "B"], None),
        ("- 1", ["1", "-1"], None),
        ("标签：正面", ["正面", "负面"], "正面"),
        ("The answer is no. No dogs are named.", ["yes", "no"], "no"),
        ("The answer is no. No, it is not.", ["yes", "no"], "no"),
        ("Answer: yes\nNo, wait.", ["yes", "no"], None),
        ("Answer: wrong\nThat is wrong.", ["wrong", "right"], None),
        ("The answer is yes?", ["yes?", "yes!"], "yes?"),
    ],
)
def test_the_last_label_of_other_sets(text, labels, label):
    assert get_task("classification").parse(text, labels) == label


@pytest.mark.parametrize("piece", ["The answer is neutral. ", "Wait, no: ", "label: ", r"\boxed{neutral} ", "- "])
def test_a_loop_of_statements_takes_no_time(piece):
    get_task("nli").parse(piece * 20_000, None)  # a quadratic reader takes minutes


def test_a_teacher_that_is_half_wrong_is_half_right_everywhere():
    labels = ["yes?", "yes!"]
    rows = [{"task": "classification", "parsed": "yes?", "reference": [gold]} for gold in labels]
    assert compute("classification", rows, labels) == {"accuracy": 0.5, "macro_f1": pytest.approx(1 / 3)}
    (table,) = class_tables(dict.fromkeys(("teacher", "baseline", "student"), rows), labels)
    assert [(one.label, one.student.recall) for one in table.labels] == [("yes!", 0), ("yes?", 1)]
    assert agreements("classification", [["yes?"], ["yes!"]], [["yes?"]], labels) == [1, 0]


def test_without_a_set_only_markup_a_full_stop_case_and_unicode_are_ignored():
    assert label_key("**Café**.", None) == label_key("cafe\u0301", None)
    assert len({label_key(text, None) for text in ("yes?", "yes!", "yes", "yes*")}) == 4


def test_gold_labels_that_nobody_can_tell_apart_are_one_label():
    rows = [
        {"split": "train", "task": "classification", "reference": [text]} for text in ("é", "e\u0301", "\u200bé", "É")
    ]
    assert len(labels := labels_of("classification", QualityConfig(), rows) or []) == 2
    assert TASK.score(TASK.parse("é", labels), ["e\u0301"], labels) == 1
    assert TASK.score(TASK.parse("É", labels), ["é"], labels) == 0
