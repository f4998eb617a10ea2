"""The checks of the set: no training row asks what a test row asks, and labels are balanced within their task."""

import pytest

from distill_dagster.lineage.project import Project
from distill_dagster.quality.specs import AgainstGold, SetCounts, SetResult
from distill_dagster.store import files, schemas
from tests.checks.published import look, publish, publish_set, row


def publish_facts(project, **facts):
    """An empty set of which these facts are told."""
    result = SetResult(
        data_version="v",
        counts=SetCounts(teacher_rows=0, examples=0, train=0, validation=0, rejected=0),
        shards=1,
        **{"acceptance": None, "gold_agreement": None, "rows_with_gold": 0, **facts},
    )
    publish(project, "validated_synthetic_set", files.EXAMPLES_FILE, [], schemas.EXAMPLE, result=result)


def test_the_leak_check_looks_at_the_rows_and_not_at_what_the_filter_counted(tiny_config):
    project = Project(tiny_config)
    rows = [row("What’s my PIN!"), row("Another"), row("what s my pin", "validation")]
    publish_set(project, rows, [row("what's my pin?", "test")])
    found = look("no_leakage", project)
    assert not found.passed
    assert found.description == "1 of 2 training rows ask what a test row asks; none may"
    publish_set(project, rows, [row("a third one", "test")])
    assert look("no_leakage", project).passed


def test_a_dialogue_that_opens_as_a_test_row_does_is_no_leak(tiny_config):
    project = Project(tiny_config)
    rows = [row("Hello there", "train", "Book a table", task="conversation")]
    publish_set(project, rows, [row("hello there!", "test", task="conversation")])
    assert look("no_leakage", project).passed
    publish_set(project, rows, [row("hello there!", "test", "book a table", task="conversation")])
    assert not look("no_leakage", project).passed


@pytest.mark.parametrize(
    ("label_rows", "passed"),
    [
        ({}, True),
        ({"nli": {"a": 10_000, "b": 9_000}, "classification": {"x": 300, "y": 200}}, True),
        ({"nli": {"a": 10_000, "b": 9_000}, "classification": {"x": 300, "y": 3}}, False),
        ({"nli": {"a": 8, "b": 0}}, False),
    ],
)
def test_labels_are_compared_within_their_task(tiny_config, label_rows, passed):
    project = Project(tiny_config)
    publish_facts(project, label_rows=label_rows)
    assert look("balanced_labels", project).passed is passed


@pytest.mark.parametrize(
    ("right", "wrong", "agreement", "passed"),
    [
        (50, 50, 0.5, (True, True)),  # all 100 are right or wrong
        (49, 51, 0.49, (False, True)),
        (0, 0, 0.1, (True, True)),  # all are scored by overlap
        (0, 0, 0.09, (True, False)),
        (15, 35, 0.15 + 0.5 * 0.45, (False, True)),  # good overlap hides no wrong answers
        (50, 0, 0.5 + 0.5 * 0.08, (True, False)),  # and the other way round
    ],
)
def test_right_answers_and_overlap_with_gold_have_a_limit_each(tiny_config, right, wrong, agreement, passed):
    project = Project(tiny_config)
    judged = AgainstGold(right=right, wrong=wrong)
    publish_facts(project, gold_agreement=agreement, rows_with_gold=100, against_gold=judged)
    assert tuple(look(f"teacher_{name}_gold", project).passed for name in ("agrees_with", "overlaps")) == passed
