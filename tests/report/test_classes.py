"""Scores by class: against the task's own macro F1 and by hand, and how the pages show them."""

import math
import re

import pytest

from distill_dagster.report.classes import class_tables
from distill_dagster.report.parts import ReportParts
from distill_dagster.report.writing import build_report, write_pages
from distill_dagster.tasks.labelled import macro_f1
from testing.report_parts import benchmark, parts
from testing.timed import ROLES
from tests.report.page import HOSTILE, read_page

GOLD = ["a", "a", "a", "b", "b", "c"]


def answers(given: list[str | None], gold=GOLD, task: str = "classification") -> list[dict]:
    references = [[g] if isinstance(g, str) else g for g in gold]
    return [
        {
            "row_id": f"q{i}", "turn": 0, "task": task, "prediction": str(parsed), "parsed": parsed,
            "reference": reference, "score": float(parsed in reference), "finish_reason": "stop",
        }
        for i, (parsed, reference) in enumerate(zip(given, references, strict=True))
    ]  # fmt: skip


def test_every_class_by_hand():
    student = answers(["A.", "b", None, "b", "b", "other"])  # compared in normal form, as the score does
    (table,) = class_tables({role: student for role in ROLES})
    a, b, c = (scores.student for scores in table.labels)
    assert [scores.label for scores in table.labels] == ["a", "b", "c"]  # "other" is no gold label
    assert (a.precision, a.recall, a.f1, a.support) == (1, pytest.approx(1 / 3), pytest.approx(2 / 4), 3)
    assert (b.precision, b.recall, b.f1, b.support) == (pytest.approx(2 / 3), 1, pytest.approx(4 / 5), 2)
    assert (c.precision, c.recall, c.f1, c.support) == (None, 0, 0, 1)  # never given


@pytest.mark.parametrize("gold", [GOLD, [["a", "b"], "a", ["b", "c"], "b", "b", "c"]])
def test_the_mean_f1_is_the_macro_f1(gold):
    given = {
        "teacher": ["a", "a", "b", "b", "b", "c"],
        "baseline": [None] * 6,
        "student": ["b", "a", "c", "a", "nothing", None],
    }
    rows = {role: answers(found, gold) for role, found in given.items()}
    (table,) = class_tables(rows)
    for role in ROLES:
        found = [score for scores in table.labels if (score := getattr(scores, role)).support]
        assert math.fsum(score.f1 for score in found) / len(found) == pytest.approx(
            macro_f1(given[role], [row["reference"] for row in rows[role]])
        )
        assert sum(score.support for score in found) == 6


def test_only_tasks_with_labels_have_a_table_and_rows_without_gold_do_not_count():
    rows = answers(["a"] * 6) + answers(["7", "8"], ["7", "9"], "math")
    rows[3] |= {"reference": [], "score": None}
    (table,) = class_tables(dict.fromkeys(ROLES, rows))
    assert table.task == "classification"
    assert [scores.student.support for scores in table.labels] == [3, 1, 1]


def report_of(tmp_path, given: list[str | None], gold):
    rows = {role: answers(given, gold) for role in ROLES}
    found = parts() | {"predictions": rows, "benchmarks": {role: benchmark(role, rows[role]) for role in ROLES}}
    document = build_report(ReportParts(**found))
    write_pages(tmp_path, document)
    return document


def test_the_pages_show_the_classes_in_a_table_that_opens(tmp_path):
    report_of(tmp_path, ["a", "b", None, "b", "b", "other"] * 20, GOLD * 20)
    markdown = (tmp_path / "report.md").read_text()
    head = "| Class | Items | Teacher F1 | Baseline F1 | Student precision | Student recall | Student F1 |"
    lines = markdown[markdown.index(head) :].splitlines()
    assert lines[2:5] == [
        "| a | 60 | 50.0 % | 50.0 % | 100.0 % | 33.3 % | 50.0 % |",
        "| b | 40 | 80.0 % | 80.0 % | 66.7 % | 100.0 % | 80.0 % |",
        "| c | 20 | 0.0 % | 0.0 % | – | 0.0 % | 0.0 % |",
    ]
    assert markdown.count("<details>") == markdown.count("</details>") == 5  # and settings, keys, versions
    page, text = read_page(tmp_path)
    assert page.tags.count("details") == 5  # the classes, their confusions; settings, keys, and the machines
    assert '<tr><th scope="row">c</th><td>20</td><td>0.0 %</td><td>0.0 %</td><td>–</td>' in text


def test_a_class_of_few_items_has_no_scores_on_the_pages(tmp_path):
    document = report_of(tmp_path, ["a"] * 20 + ["b"] * 19, ["a"] * 20 + ["b"] * 19)
    lines = (tmp_path / "report.md").read_text().splitlines()
    assert "| a | 20 | 100.0 % | 100.0 % | 100.0 % | 100.0 % | 100.0 % |" in lines
    assert "| b | 19 | too few | too few | too few | too few | too few |" in lines
    assert document.classes[0].labels[1].student.f1 == 1


@pytest.mark.parametrize(("count", "shown"), [(100, True), (101, False)])
def test_a_table_of_more_than_a_hundred_classes_is_only_in_the_json(tmp_path, count, shown):
    gold = [f"label {i}" for i in range(count)]
    document = report_of(tmp_path, gold, gold)
    assert len(document.classes[0].labels) == count
    for name in ("report.html", "report.md"):
        text = (tmp_path / name).read_text()
        assert f"classification, {count} classes" in text
        assert ("too long for this page" in text) is not shown
        assert ("label 99" in text) is shown


def test_a_hostile_label_is_text(tmp_path):
    report_of(tmp_path, [HOSTILE, "b"], [HOSTILE, "b"])
    page, _ = read_page(tmp_path)
    assert "script" not in page.tags
    assert "img" not in page.tags
    assert HOSTILE in page.text
    (line,) = [line for line in (tmp_path / "report.md").read_text().splitlines() if line.startswith("| &lt;script")]
    assert len(re.findall(r"(?<!\\)\|", line)) == 8  # the row keeps its seven cells
