"""Labels: every form of a label means it, no two labels are merged, and all rooms compare them alike."""

import pytest

from distill_dagster.config import QualityConfig
from distill_dagster.evaluation.metrics import compute
from distill_dagster.generation.choosing import agreements
from distill_dagster.quality.labels import labels_of
from distill_dagster.report.classes import class_tables
from distill_dagster.tasks import get_task
from distill_dagster.tasks.labels import label_key, match_label
from tests.tasks.label_texts import APART, FORMS, STATED

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
