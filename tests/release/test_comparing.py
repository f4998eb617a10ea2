"""Two students, task by task, and how a student is named."""

import pytest

from distill_dagster.config import EvaluationConfig
from distill_dagster.errors import DataError
from distill_dagster.release.comparing import compare_students, match

EVALUATION = EvaluationConfig(resamples=500)


def items(**wrong: int):
    """100 items of each task, the first ones wrong."""
    return [
        {"row_id": f"{task}-{i}", "task": task, "score": float(i >= missed)}
        for task, missed in wrong.items()
        for i in range(100)
    ]


def test_each_task_has_its_own_difference_and_all_items_one():
    found = compare_students(items(nli=10, qa=20), items(nli=15, qa=10), EVALUATION)
    assert [(task.task, task.a, task.b) for task in found] == [
        ("nli", 0.9, 0.85), ("qa", 0.8, 0.9), ("all", 0.85, 0.875),
    ]  # fmt: skip
    assert [round(task.difference.value, 3) for task in found] == [0.05, -0.1, -0.025]
    assert [task.difference.items for task in found] == [100, 100, 200]
    assert found[1].difference.high < 0


def test_one_task_is_not_shown_twice():
    assert [task.task for task in compare_students(items(qa=1), items(qa=2), EVALUATION)] == ["qa"]


def test_a_student_is_named_by_the_beginning_of_its_version():
    assert match("ab", ["abc", "abc", "xyz"]) == "abc"
    with pytest.raises(DataError, match="no student is named 'q'"):
        match("q", ["abc"])
    with pytest.raises(DataError, match="2 students of the history are named ab…"):
        match("ab", ["abc", "abd"])
