"""Where the student comes from, in sentences, and what the page folds away."""

import re

from distill_dagster.report.parts import ReportParts
from distill_dagster.report.provenance import day, provenance_sentences
from distill_dagster.report.specs import Provenance
from distill_dagster.report.writing import build_report, write_pages
from testing.report_parts import parts
from tests.report.page import read_page


def made(day: int, **about) -> dict:
    return {"data_version": "0", "created_at": f"2026-11-{day:02}T08:00:00+00:00", **about}


MADE = Provenance.model_validate({
    "name": "support-desk",
    "shards": 5,
    "teacher_model": made(25, model="big", revision="ab" * 20),
    "validated_synthetic_set": made(26, train=1700),
    "student_base": made(24, model="small", revision="cd" * 20),
    "student_checkpoint": made(27, train_rows=1660, loss="CE"),
    "eval_dataset": made(1, rows=1),
    "commit": "12" * 20 + "-dirty",
    "package": "0.2.0",
})  # fmt: skip


def test_the_sentences():
    assert provenance_sentences(MADE) == [
        "The student of support-desk was trained from small (revision cdcdcdcdcdcd) on 1,660 examples on 27 November "
        "2026; its objective was CE.",
        "The set of examples was made on 26 November 2026 from the answers of big (revision abababababab) to the rows "
        "of 5 shards.",
        "It was measured on 1 held-out row, as they were on 1 November 2026.",
        f"The project's repository was at commit {'12' * 20} with changes that were not committed.",
        "distill-dagster 0.2.0 wrote this report.",
    ]


def test_what_is_not_known_is_left_out():
    """A report of an earlier version knows no revisions, and neither commit nor package."""
    known = MADE.model_dump(exclude={"commit", "package"})
    for name in ("teacher_model", "student_base"):
        del known[name]["revision"]
    says = provenance_sentences(Provenance.model_validate({**known, "teachers": "big and other"}))
    assert says[0].startswith("The student of support-desk was trained from small on 1,660 examples on 27 November")
    assert "from the answers of big and other to the rows" in says[1]
    assert len(says) == 3


def test_a_date_is_written_out():
    assert day("2026-03-01") == "1 March 2026"


def test_the_page_says_it_and_folds_the_keys_and_the_settings(tmp_path):
    write_pages(tmp_path, build_report(ReportParts(**parts())))
    page, text = read_page(tmp_path)
    folded = "".join(re.findall(r"<details>.*?</details>", text, re.DOTALL))
    assert "The student of demo was trained from a model (revision a1a1a1a1a1a1)" in page.text
    assert "was trained from" not in folded
    for key in ("teacher_model.data_version", "learning_rate"):
        assert folded.count(f">{key}<") == text.count(f">{key}<") == 1
