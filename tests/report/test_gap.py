"""The gap recovered is not shown where the baseline never ended an answer."""

import pytest

from distill_dagster.report.parts import ReportParts
from distill_dagster.report.rendering import render_html, render_markdown
from distill_dagster.report.writing import build_report
from testing.report_parts import parts, predictions


def cut_off(count: int) -> dict:
    given = parts()
    given["predictions"]["baseline"] = predictions("baseline", [0] * 100)
    given["benchmarks"]["baseline"] = given["benchmarks"]["baseline"].model_copy(update={"truncated": count})
    return given


def test_it_is_not_shown_where_all_answers_of_the_baseline_were_cut_off():
    document = build_report(ReportParts(**cut_off(100)))
    gap = document.gap_recovered
    assert (gap.value, gap.low, gap.high) == (None, None, None)
    assert gap.reason == (
        "all 100 answers of the baseline were cut off at 8 tokens and score 0, so the gap recovered would only repeat "
        "the retention"
    )
    assert document.retention.value == pytest.approx(93 / 95)
    for page in (render_html(document), render_markdown(document)):
        assert "would only repeat the retention" in page


def test_it_is_shown_where_one_answer_ended():
    assert build_report(ReportParts(**cut_off(99))).gap_recovered.value == pytest.approx(93 / 95)
