"""A report compared with the one that it replaces, and with the released student: it states a fall on one task."""

import json
from pathlib import Path

import numpy as np
import pytest

from distill_dagster.report.document import read_document
from distill_dagster.report.specs import EarlierReport, ReleasedScores, ReportResult, ReportSpec
from distill_dagster.report.writing import write_report
from distill_dagster.store import files, parquet, schemas
from testing.report_parts import CONFIG, benchmark, predictions, provenance
from testing.timed import ROLES

TASKS = {"nli": 300, "qa": 120}
GOLD = ("neutral", "entailment", "contradiction")


def rows_of(role: str, wrong: dict[str, int], group: str | None = None) -> list[dict]:
    """Predictions of two tasks; `wrong` counts the wrong answers of each."""
    found = []
    for task, count in TASKS.items():
        rows = predictions(role, np.arange(count) >= wrong.get(task, 0), task)
        found += [{**row, "task": task, "group": group, "reference": [GOLD[i % 3]]} for i, row in enumerate(rows)]
    return found


def report(
    folder: Path,
    student: str,
    wrong: dict[str, int],
    earlier: Path | None = None,
    released: ReleasedScores | None = None,
) -> ReportResult:
    """Write the report of a student; `wrong` counts its wrong answers by task."""
    folder.mkdir()
    made = provenance("x", None)
    made = made.model_copy(
        update={"student_checkpoint": made.student_checkpoint.model_copy(update={"data_version": student})}
    )
    for role in ROLES:
        rows = rows_of(role, {"student": wrong, "baseline": {"nli": 250, "qa": 100}}.get(role, {"nli": 9, "qa": 1}))
        (folder / role).mkdir()
        parquet.write_table(folder / role / files.PREDICTIONS_FILE, rows, schemas.PREDICTION)
        (folder / role / files.BENCHMARK_FILE).write_text(benchmark(role, rows).model_dump_json())
    (folder / "history.json").write_text("[]")
    parquet.write_table(folder / "raw.parquet", [], schemas.RAW)
    return write_report(
        ReportSpec(
            project="demo",
            benchmarks={role: str(folder / role) for role in ROLES},
            history=str(folder / "history.json"),
            rows=str(folder / "raw.parquet"),
            evaluation=CONFIG,
            provenance=made,
            earlier=EarlierReport(folder=str(earlier), created_at=f"2026-11-{earlier.name}") if earlier else None,
            released=released,
            out=str(folder),
        )
    )


@pytest.fixture(scope="module")
def reports(tmp_path_factory):
    """A student, one that fell on qa, and the second one's report made again."""
    folder = tmp_path_factory.mktemp("reports")
    first = report(folder / "20", "one", {"nli": 12, "qa": 1})
    second = report(folder / "21", "two", {"nli": 10, "qa": 9}, folder / "20")
    again = report(folder / "22", "two", {"nli": 10, "qa": 9}, folder / "21")
    third = report(folder / "23", "three", {"nli": 10, "qa": 9}, folder / "22")
    return folder, [first, second, again, third]


def test_a_fall_on_one_task_is_said_beside_a_pass(reports):
    folder, (first, second, *_) = reports
    assert (first.fall, first.verdict, second.verdict) == (None, "PASS", "PASS")
    assert second.fall.startswith("Worse than the student of the report of 2026-11-20: qa from 99.2 % to 92.5 % (-6.7")
    document = read_document(folder / "21" / files.REPORT_FILE)
    assert document.fall == second.fall
    assert [of.fell for of in document.against_earlier.tasks] == [False, True]
    page, markdown = ((folder / "21" / name).read_text() for name in (files.REPORT_PAGE, files.REPORT_MARKDOWN))
    assert page.index('class="verdict PASS"') < page.index("Worse than") < page.index('<section class="cards">')
    assert "Worse than" in markdown[: markdown.index("| Retention")]
    assert "Against earlier students" in page
    assert "on 420 items that both answered" in markdown


def test_a_report_made_again_is_compared_with_the_student_before(reports):
    folder, (_, second, again, third) = reports
    assert again.fall == second.fall
    assert third.fall is None
    assert read_document(folder / "23" / files.REPORT_FILE).against_earlier.student == "two"


def released(folder: Path, student: str, wrong: dict[str, int]) -> ReleasedScores:
    """A released student, beside another one that was never right."""
    path = folder / f"{student}.parquet"
    items = [
        {"student": named, "row_id": row["row_id"], "group": None, "task": row["task"], "score": row["score"]}
        for named, missed in ((student, wrong), ("other", TASKS))
        for row in rows_of("student", missed)
    ]
    parquet.write_table(path, items, schemas.SCORE)
    return ReleasedScores(student=student, released_at="2026-11-12T10:00:00+00:00", scores=str(path))


def test_the_released_student_is_compared_beside_that_of_the_last_report(reports, tmp_path):
    folder, _ = reports
    champion = released(tmp_path, "champion", {"nli": 10, "qa": 1})
    result = report(tmp_path / "24", "four", {"nli": 10, "qa": 9}, folder / "21", champion)
    document = read_document(tmp_path / "24" / files.REPORT_FILE)
    assert (document.against_released.student, document.against_earlier.student) == ("champion", "two")
    assert (document.against_released.common, document.against_earlier.common) == (420, 420)
    assert result.fall.startswith("Worse than the student released on 2026-11-12: qa from 99.2 % to 92.5 %")
    assert "of the report" not in result.fall  # the last report's student was as bad
    page = (tmp_path / "24" / files.REPORT_PAGE).read_text()
    assert "Compared with the student released on 2026-11-12" in page
    assert "Compared with the student of the report of 2026-11-21" in page


def test_a_released_student_that_was_reported_last_is_compared_once(reports, tmp_path):
    folder, _ = reports
    result = report(tmp_path / "24", "two", {"qa": 9}, folder / "20", released(tmp_path, "one", {"nli": 12, "qa": 1}))
    assert result.fall.count("Worse than") == 1
    assert (tmp_path / "24" / files.REPORT_PAGE).read_text().count("Compared with the student") == 1


def test_a_report_made_again_after_its_student_was_released_keeps_the_comparison(reports, tmp_path):
    folder, _ = reports
    first = report(tmp_path / "24", "four", {"qa": 9}, folder / "21", released(tmp_path, "champion", {"qa": 1}))
    again = report(tmp_path / "25", "four", {"qa": 9}, tmp_path / "24", released(tmp_path, "four", {"qa": 9}))
    assert first.fall.startswith("Worse than the student released on 2026-11-12")
    assert again.fall == first.fall
    compared = read_document(tmp_path / "25" / files.REPORT_FILE).against_released
    assert (compared.student, compared.common) == ("champion", 420)
    other = report(tmp_path / "26", "five", {"qa": 9}, tmp_path / "25", released(tmp_path, "four", {"qa": 9}))
    assert other.fall is None


def test_a_released_student_that_was_measured_in_another_way_is_noted_and_not_compared(reports, tmp_path):
    champion = released(tmp_path, "champion", {"qa": 1}).model_copy(update={"comparable": False})
    result = report(tmp_path / "24", "four", {"qa": 9}, None, champion)
    document = read_document(tmp_path / "24" / files.REPORT_FILE)
    assert (result.fall, document.against_released) == (None, None)
    assert any(note.startswith("The released student is not compared") for note in document.notes)


def test_the_released_student_is_not_compared_with_itself(reports, tmp_path):
    report(tmp_path / "24", "one", {"qa": 9}, None, released(tmp_path, "one", {}))
    assert read_document(tmp_path / "24" / files.REPORT_FILE).against_released is None


def test_the_items_are_kept_with_their_scores(reports):
    folder, _ = reports
    items = parquet.read_table(folder / "21" / files.ITEMS_FILE)
    assert len(items) == 420
    assert sum(item["student"] for item in items) == 420 - 19
    assert not (folder / "20" / files.EARLIER_FILE).exists()


def test_a_report_of_an_older_version_has_no_items_and_is_no_base(reports, tmp_path):
    folder, _ = reports
    old = tmp_path / "19"
    old.mkdir()
    document = json.loads((folder / "20" / files.REPORT_FILE).read_text())
    for key in ("to_teacher", "to_baseline", "tasks", "against_earlier", "fall"):
        del document[key]
    (old / files.REPORT_FILE).write_text(json.dumps(document))
    result = report(tmp_path / "20", "two", {"qa": 30}, old)
    assert result.fall is None
    assert read_document(tmp_path / "20" / files.REPORT_FILE).against_earlier is None
    assert read_document(old / files.REPORT_FILE).to_teacher is None
