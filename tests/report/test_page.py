"""The report's page: it is self-contained, and hostile names and rows stay plain text."""

import re

import pytest

from distill_dagster.report.document import ReportDocument, read_document
from distill_dagster.report.parts import ReportParts
from distill_dagster.report.writing import build_report, write_pages
from testing.report_parts import benchmark, parts
from tests.report.page import HOSTILE, read_page


@pytest.fixture(scope="module")
def document() -> ReportDocument:
    return build_report(ReportParts(**parts()))


def test_the_page_is_self_contained(document, tmp_path):
    write_pages(tmp_path, document)
    page, text = read_page(tmp_path)
    assert "script" not in page.tags
    assert "link" not in page.tags
    assert page.outside == []
    assert "url(http" not in text
    assert "@import" not in text
    assert len(page.ids) == len(set(page.ids))
    assert page.tags.count("svg") == 3  # score, latency, loss; one task needs no picture of its own
    assert "var(--student)" in text
    assert not re.search(r"#0\da0f\d", text)  # no placeholder colour is left
    assert read_document(tmp_path / "report.json") == document


def test_hostile_names_and_rows_are_text(tmp_path):
    given = parts(text=HOSTILE, name=HOSTILE)
    rows = [{"row_id": f"{HOSTILE}-{i}", "messages": [{"role": "user", "content": HOSTILE}]} for i in range(100)]
    write_pages(tmp_path, build_report(ReportParts(**given, rows=rows)))
    page, _ = read_page(tmp_path)
    assert "script" not in page.tags
    assert "img" not in page.tags
    assert page.text.count(HOSTILE) > 20
    assert "49{%" not in page.text
    markdown = (tmp_path / "report.md").read_text()
    assert "<script" not in markdown
    assert "<img" not in markdown
    assert not re.search(r"(?<!\\)\]\(javascript", markdown)
    (line,) = [line for line in markdown.splitlines() if line.startswith("| teacher\\_model.model")]
    assert len(re.findall(r"(?<!\\)\|", line)) == 3  # the row keeps its two cells


def test_several_tasks_are_drawn_and_named(tmp_path):
    given = parts()
    for role, rows in given["predictions"].items():
        for row in rows[:50]:
            row |= {"task": "qa", "parsed": "neutral" if row["score"] else "other"}
        given["benchmarks"][role] = benchmark(role, rows)
    document = build_report(ReportParts(**given))
    write_pages(tmp_path, document)
    page, _ = read_page(tmp_path)
    assert page.tags.count("svg") == 4
    assert "qa: token F1" in page.text
    assert any("2 tasks" in note for note in document.notes)
