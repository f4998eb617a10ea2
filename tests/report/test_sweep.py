"""What the report says of a sweep."""

import pytest

from distill_dagster.report.parts import ReportParts
from distill_dagster.report.sweep import rows, sentence
from distill_dagster.report.writing import build_report, write_pages
from distill_dagster.tuning.specs import Trial
from testing.report_parts import parts
from tests.report.page import read_page

POINT = {"learning_rate": 1e-4, "hidden.layers": [[1, 2], [2, 4]], "logits.divergence": "jsd", "batch_size": 8}


def trial(number: int, outcome="complete", loss: float | None = None, **changes) -> Trial:
    given = {"losses": [9.0, 5.0], "steps": 40, "seconds": 30.0, "point": POINT}
    return Trial.model_validate({"number": number, "outcome": outcome, "validation_loss": loss, **given, **changes})


TRIALS = [
    trial(0, loss=2.0),
    trial(1, "pruned", steps=10),
    trial(2, loss=1.5, point={**POINT, "learning_rate": 0.01, "logits.divergence": "forward_kl"}),
    trial(3, "diverged", losses=[], why="the loss is nan"),
    trial(4, loss=2.0, same_as=0, steps=0, seconds=0.0),
]


def test_the_best_trials_come_first_with_their_settings():
    assert sentence(TRIALS) == (
        "5 trials (3 complete, 1 pruned, 1 diverged), 130 steps in 120.0 s, compared by their validation losses. No "
        "trial read a held-out row. Trial 2 is the student."
    )
    found = rows(TRIALS)
    assert [row[:4] for row in found] == [
        ["2", "complete", "1.5", "40"],
        ["0", "complete", "2", "40"],
        ["4", "as trial 0", "2", "0"],
        ["1", "pruned", "–", "10"],
        ["3", "diverged", "–", "40"],
    ]
    assert found[0][4].startswith("learning_rate 0.01, hidden.layers [[1, 2], [2, 4]]")


def test_a_page_draws_the_trials_and_their_settings(tmp_path):
    write_pages(tmp_path, build_report(ReportParts(**parts(), trials=TRIALS)))
    page, text = read_page(tmp_path)
    assert page.tags.count("svg") == 5
    assert len(page.ids) == len(set(page.ids))
    assert page.outside == []
    for said in ("Best so far", "Pruned", "forward_kl", "1:2 2:4", "Trial 2 is the student."):
        assert said in page.text, said
    assert "Settings of the sweep" in text
    assert "| 2 | complete | 1.5 | 40 | learning\\_rate 0.01" in (tmp_path / "report.md").read_text()


@pytest.mark.parametrize("count", [1, 2])
def test_few_trials_are_drawn_too(tmp_path, count):
    """One complete trial has no settings to compare it with."""
    write_pages(tmp_path, build_report(ReportParts(**parts(), trials=[trial(i, loss=1.0) for i in range(count)])))
    page, _ = read_page(tmp_path)
    assert page.tags.count("svg") == 3 + count


def test_a_report_without_a_sweep_says_nothing_of_one(tmp_path):
    document = build_report(ReportParts(**parts()))
    write_pages(tmp_path, document)
    assert "trials" not in document.as_json()
    assert "sweep" not in (tmp_path / "report.html").read_text().lower()
    assert "settings were found" not in (tmp_path / "report.md").read_text()
