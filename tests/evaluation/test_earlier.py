"""A student against an earlier one on the rows that both answered."""

import pytest

from distill_dagster.evaluation.earlier import against_earlier, read_items, write_items

HOW = {"created_at": "2026-11-20T08:00:00+00:00", "student": "abc", "resamples": 1000, "seed": 0}


def items(task: str, right: int, count: int, group: str | None = None) -> list[dict]:
    same = {"group": group, "task": task, "teacher": 1.0, "baseline": 0.0}
    return [{"row_id": f"{task}-{i}", **same, "student": float(i < right)} for i in range(count)]


def test_a_task_that_falls_from_99_to_92_is_found_though_the_mean_hardly_moves():
    earlier = [*items("qa", 119, 120), *items("nli", 700, 800)]
    now = [*items("qa", 111, 120), *items("nli", 701, 800)]
    found = against_earlier(now, earlier, **HOW)
    assert (found.common, found.only_now, found.only_earlier) == (920, 0, 0)
    assert found.difference.value == pytest.approx(-7 / 920)
    qa, nli = found.tasks
    assert (qa.task, qa.fell, nli.fell) == ("qa", True, False)
    assert qa.difference.high < 0


def test_only_rows_of_both_are_compared():
    earlier = items("qa", 10, 30)
    now = [*items("qa", 10, 20), *items("math", 5, 5)]
    found = against_earlier(now, earlier, **HOW)
    assert (found.common, found.only_now, found.only_earlier) == (20, 5, 10)
    assert found.difference.value == 0
    assert [of.task for of in found.tasks] == ["qa"]


def test_no_common_row_leaves_no_difference():
    found = against_earlier(items("qa", 1, 2), items("nli", 1, 2), **HOW)
    assert (found.common, found.difference, found.tasks) == (0, None, [])


def test_groups_count_once(tmp_path):
    rows = items("qa", 0, 60, "one conversation")
    found = against_earlier(rows, items("qa", 60, 60, "one conversation"), **HOW)
    assert found.difference.groups == 1
    assert not found.tasks[0].fell
    write_items(tmp_path / "items.parquet", rows)
    assert read_items(tmp_path / "items.parquet") == rows
