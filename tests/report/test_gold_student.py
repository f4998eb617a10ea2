"""What the report says of the student trained on gold answers alone: a column, a difference, and a sentence."""

import json

import pytest

from distill_dagster.cli.outcome import closing_document, print_report
from distill_dagster.errors import DataError
from distill_dagster.evaluation.differences import Difference, difference
from distill_dagster.operations.runner import Outcome
from distill_dagster.report.document import ReportDocument, read_document
from distill_dagster.report.gold_student import GoldStudentScores, gold_student_text
from distill_dagster.report.parts import ReportParts
from distill_dagster.report.rendering import render_html, render_markdown
from distill_dagster.report.tables import comparison_rows, settings_rows, summary_rows
from distill_dagster.report.writing import build_report, write_pages
from testing.report_parts import CONFIG, benchmark, parts, predictions

SIZES = {"gold_rows": 1234, "student_rows": 5678}


def with_gold(right: int, **changes) -> ReportDocument:
    """The report of `parts`, whose student has 93 of 100 right, and a gold student that has the first `right` right."""
    rows = predictions("gold_student", [1] * right + [0] * (100 - right))
    gold = GoldStudentScores(benchmark("gold_student", rows).model_copy(update=changes), rows, **SIZES)
    return build_report(ReportParts(**parts(), gold_student=gold))


def of(value: float, low: float, high: float) -> Difference:
    return Difference(value=value, low=low, high=high, p_value=0.5, items=100)


@pytest.mark.parametrize(
    ("found", "text"),
    [
        (
            of(0.064, 0.026, 0.1),
            "The teacher added 6.4 points (2.6 to 10.0): the student scores 91.2 % after distillation, 84.8 % after "
            "gold answers alone.",
        ),
        (
            of(0.064, -0.01, 0.1),
            "No difference was shown between the student and the same student on gold answers alone: +6.4 (-1.0 to "
            "+10.0) points (91.2 % after distillation, 84.8 % after gold answers alone).",
        ),
        (
            of(-0.031, -0.052, -0.01),
            "The same student on gold answers alone is better by 3.1 points (1.0 to 5.2): it scores 91.2 % after "
            "distillation, 84.8 % after gold answers alone.",
        ),
        (
            of(0.0, 0.0, 0.0),
            "No difference was shown between the student and the same student on gold answers alone: +0.0 (+0.0 to "
            "+0.0) points (91.2 % after distillation, 84.8 % after gold answers alone).",
        ),
    ],
)
def test_the_interval_and_not_the_point_says_whether_the_teacher_added_anything(found, text):
    assert gold_student_text(found, 0.912, 0.848) == text


def test_the_difference_is_paired_and_its_sentence_names_the_rows_of_both():
    document = with_gold(80)
    student = {row["row_id"]: row["score"] for row in parts()["predictions"]["student"]}
    gold = {f"x-{i}": float(i < 80) for i in range(100)}
    expected = difference(student, gold, resamples=CONFIG.resamples, seed=CONFIG.seed)
    assert document.gold_student.difference == expected
    assert document.gold_student.text.startswith("The teacher added 13.0 points (")
    assert document.gold_student.text.endswith(
        "The student was trained on 5,678 rows, the other one on 1,234 gold answers."
    )
    assert not document.gold_student.is_better


def test_other_items_are_refused():
    rows = predictions("gold_student", [1] * 99)
    gold = GoldStudentScores(benchmark("gold_student", rows), rows, **SIZES)
    with pytest.raises(DataError, match="x-99"):
        build_report(ReportParts(**parts(), gold_student=gold))


def test_it_is_the_fourth_column_of_every_page(tmp_path):
    document = with_gold(80)
    score = comparison_rows(document)[0]
    assert [cell.partition(" (")[0] for cell in score.cells] == ["95.0 %", "30.0 %", "93.0 %", "80.0 %"]
    assert {len(row) for row in summary_rows(document)} == {5}
    assert ("nli: accuracy", "95.0 %", "30.0 %", "93.0 %", "80.0 %") in summary_rows(document)
    untimed = next(row for row in comparison_rows(document) if row.label == "Latency p50")
    assert untimed.cells[3] == "–", "it has the student's size"
    assert {len(row) for row in settings_rows(document.models)} == {5}
    write_pages(tmp_path, document)
    page, markdown = (tmp_path / "report.html").read_text(), (tmp_path / "report.md").read_text()
    assert '<span class="dot gold_student"></span>Gold student<small>gold_student</small>' in page
    assert page.count("The teacher added 13.0 points") == markdown.count("The teacher added 13.0 points") == 1
    assert "| Teacher | Baseline | Student | Gold student | Student against teacher |" in markdown
    lines = markdown.split("## Comparison")[1].split("The baseline is")[0].strip().splitlines()
    assert {line.count("|") for line in lines} == {7}
    assert "Student minus gold student, S − G" in page
    assert "Student minus gold student, S − G" in markdown
    assert read_document(tmp_path / "report.json") == document


def test_a_report_without_one_is_as_before(tmp_path):
    document = build_report(ReportParts(**parts()))
    write_pages(tmp_path, document)
    assert "gold_student" not in json.loads((tmp_path / "report.json").read_text())
    assert read_document(tmp_path / "report.json").gold_student is None
    assert {len(row) for row in summary_rows(document)} == {4}
    page, markdown = render_html(document), render_markdown(document)
    assert "Gold student" not in page + markdown
    assert "| | Teacher | Baseline | Student | Student against teacher |" in markdown


def test_a_better_gold_student_is_a_warning_on_every_page_and_on_the_terminal(tmp_path, capsys):
    better = with_gold(100)
    assert better.gold_student.is_better
    assert f'class="warning" role="alert">{better.gold_student.text[:60]}' in render_html(better).replace("\u2060", "")
    assert "**The same student on gold answers alone is better by" in render_markdown(better)
    print_report(better, tmp_path / "report.html")
    said = capsys.readouterr()
    assert "warning: The same student on gold answers alone is better by" in said.err
    assert "gold alone" in said.out
    print_report(with_gold(80), tmp_path / "report.html")
    said = capsys.readouterr()
    assert "The teacher added" in said.out
    assert "The teacher added" not in said.err


def test_the_last_line_of_a_run_holds_its_score(tmp_path):
    outcome = Outcome()
    closing = closing_document(with_gold(80), outcome, tmp_path, tmp_path)
    assert closing["gold_student"]["score"] == 0.8
    assert "gold_student" not in closing_document(build_report(ReportParts(**parts())), outcome, tmp_path, tmp_path)


def test_the_report_says_that_the_interval_holds_no_other_seed():
    with_one, without = with_gold(80), build_report(ReportParts(**parts()))
    for render in (render_html, render_markdown):
        assert render(with_one).count("another seed") == 1
        assert "another seed" not in render(without)
    assert not any("seed" in note for note in with_one.notes)  # a model card has them too, and no gold student


def test_another_device_of_its_benchmark_is_noted():
    assert not any("measured alike" in note for note in with_gold(80).notes)
    (note,) = [note for note in with_gold(80, device="cuda").notes if "measured alike" in note]
    assert "the device differs (teacher cpu, baseline cpu, student cpu, gold student cuda)" in note


def test_parts_of_the_test_set_have_its_score_too(tmp_path):
    document = with_gold(80)
    (part,) = [part for part in document.slices if part.kind == "task"]
    assert (part.student, part.gold_student) == (0.93, 0.8)
    write_pages(tmp_path, document)
    markdown = (tmp_path / "report.md").read_text()
    assert "| Part | Items | Teacher | Baseline | Student | Gold student | Retention (95 % interval) |" in markdown
    assert "| task nli | 100 | 95.0 % | 30.0 % | 93.0 % | 80.0 % |" in markdown
    assert "gold_student" not in build_report(ReportParts(**parts())).as_json()["slices"][0]
