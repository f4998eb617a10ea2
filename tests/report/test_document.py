"""The report's document: its numbers, its words and its notes."""

import json

import pytest

from distill_dagster.errors import DataError
from distill_dagster.evaluation.comparison import RatioEstimate
from distill_dagster.evaluation.verdict import Decision
from distill_dagster.report.document import Ratios, ReportDocument, read_document, read_verdict
from distill_dagster.report.numbers import percent, ratio_label, size
from distill_dagster.report.parts import ReportParts
from distill_dagster.report.rendering import render_html, render_markdown
from distill_dagster.report.tables import flat_rows, summary_rows
from distill_dagster.report.wording import headline, verdict_text
from distill_dagster.report.writing import build_report, write_pages
from testing.report_parts import benchmark, parts, predictions
from testing.timed import ROLES


@pytest.fixture(scope="module")
def document() -> ReportDocument:
    return build_report(ReportParts(**parts()))


def test_the_headline_and_its_numbers(document):
    assert document.items == 100
    assert document.retention.value == pytest.approx(93 / 95)
    assert document.gap_recovered.value == pytest.approx((93 - 30) / (95 - 30))
    low, high = document.retention.low, document.retention.high
    assert document.headline == (
        f"The student keeps 97.9 % (95 % interval {low * 100:.1f}–{high * 100:.1f}) of the teacher's score "
        "with 11 times fewer parameters and 4.2 times lower latency."
    )
    assert document.mcnemar.only_teacher == 3
    assert document.mcnemar.only_student == 1
    assert document.verdict.verdict == "PASS"
    assert document.ratios.tokens_per_second == pytest.approx(4.2)
    assert document.ratios.peak_memory == 11


def test_a_weak_teacher_is_said_first(document, tmp_path):
    """All gold answers of these rows are one label, so its name alone scores more than the teacher."""
    says = (
        "Weak teacher: the teacher scores 95.0% on nli (95 % interval 89.0% to 98.3%), below the 100.0% of always "
        "answering 'neutral'. Retention compares the student with this teacher, so it says little; improve the "
        "teacher, or measure with more held-out rows."
    )
    assert document.weak_teacher == says
    write_pages(tmp_path, document)
    page, markdown = (tmp_path / "report.html").read_text(), (tmp_path / "report.md").read_text()
    assert markdown.splitlines()[2] == f"**{says}**"
    assert page.index('class="warning"') < page.index('class="verdict') < page.index("<h1>")


def test_a_teacher_above_chance_is_no_warning(tmp_path):
    changed = parts()
    golds = ["neutral", "entailment", "contradiction"]
    for rows in changed["predictions"].values():
        for i, row in enumerate(rows):
            row["reference"] = [golds[i % 3]]
    document = build_report(ReportParts(**changed))
    assert document.weak_teacher is None
    write_pages(tmp_path, document)
    assert "Weak teacher" not in (tmp_path / "report.html").read_text() + (tmp_path / "report.md").read_text()


def test_the_json_keeps_its_keys(document, tmp_path):
    write_pages(tmp_path, document)
    found = json.loads((tmp_path / "report.json").read_text())
    before = "project headline verdict items retention gap_recovered mcnemar ratios metrics benchmarks examples lineage"
    later = {"classes", "weak_teacher", "confusions", "slices", "agreement", "speed", "lesson", "data_cost"}
    compared = {"to_teacher", "to_baseline", "tasks", "against_released", "against_earlier", "fall"}
    second = {"schema_version", "funnel", "costs", "hyperparameters"}
    assert found.keys() == {*before.split(), "history", "evaluation", "notes", *later, *compared, *second}
    assert found["schema_version"] == 2
    assert list(found["verdict"]) == ["verdict", "target", "reason", "items_needed", "text"]
    assert list(found["retention"]) == ["value", "low", "high", "items", "resamples", "undefined", "reason", "groups"]
    assert found["mcnemar"].keys() == {"only_teacher", "only_student", "p_value"}
    assert found["metrics"] == [["nli", "accuracy"], ["nli", "macro_f1"]]
    assert found["lineage"]["teacher_model"].keys() == {"data_version", "created_at", "model", "revision"}
    assert found["lineage"]["eval_dataset"].keys() == {"data_version", "created_at", "rows", "x"}
    assert found["history"] == parts()["history"]


def test_a_report_without_classes_reads(document, tmp_path):
    """Reports of earlier versions have none."""
    stored = document.as_json()
    later = ("classes", "confusions", "slices", "agreement")
    for name in later:
        del stored[name]
    (tmp_path / "report.json").write_text(json.dumps(stored))
    assert read_document(tmp_path / "report.json") == document.model_copy(update={name: [] for name in later})


def test_a_document_of_the_first_schema_reads_and_one_of_a_later_schema_is_refused(document, tmp_path):
    stored, path = document.as_json(), tmp_path / "report.json"
    first = {name: value for name, value in stored.items() if name not in ("schema_version", "funnel", "costs")}
    path.write_text(json.dumps(first))
    assert read_document(path) == document.model_copy(update={"schema_version": 1, "funnel": None, "costs": None})
    assert "source rows to examples" not in render_html(read_document(path))
    path.write_text(json.dumps({**stored, "schema_version": 3}))
    for read in (read_document, read_verdict):
        with pytest.raises(DataError, match=r"schema version 3, and this version .* reads up to 2"):
            read(path)


def test_a_missing_role_or_other_items_are_refused():
    given = parts()
    del given["benchmarks"]["baseline"]
    with pytest.raises(DataError, match="no benchmark of baseline; materialize baseline_benchmark"):
        build_report(ReportParts(**given))
    given = parts()
    given["predictions"]["student"].pop()
    with pytest.raises(DataError, match=r"1 only in teacher \('x-99'\)"):
        build_report(ReportParts(**given))


def test_a_teacher_that_scores_nothing_still_makes_a_report(tmp_path):
    given = parts()
    for role in ROLES:
        given["predictions"][role] = predictions(role, [0] * 10)
        given["benchmarks"][role] = benchmark(role, given["predictions"][role])
    document = build_report(ReportParts(**given))
    write_pages(tmp_path, document)
    assert document.verdict.verdict == "INCONCLUSIVE"
    assert "teacher scored 0" in document.headline
    assert "teacher scored 0" in (tmp_path / "report.html").read_text()
    assert ("Retention (95 % interval)", "", "", "–") in summary_rows(document)


def test_another_device_of_a_benchmark_is_noted():
    given = parts()
    given["benchmarks"]["teacher"] = given["benchmarks"]["teacher"].model_copy(update={"device": "cuda"})
    found = "the device differs (teacher cuda, baseline cpu, student cpu)"
    assert any(found in note for note in build_report(ReportParts(**given)).notes)


@pytest.mark.parametrize(
    ("sampling", "words"),
    [
        ({"temperature": 1.0, "top_p": 0.9}, "at temperature 1.0 and top_p 0.9, as its endpoint does not accept 0"),
        ({}, "at the default temperature of its provider"),
    ],
)
def test_a_teacher_that_was_not_measured_greedily_is_noted(document, sampling, words):
    assert not any("was measured at" in note for note in document.notes)
    given = parts()
    given["benchmarks"]["teacher"] = given["benchmarks"]["teacher"].model_copy(update={"sampling": sampling})
    (note,) = [note for note in build_report(ReportParts(**given)).notes if "was measured at" in note]
    assert words in note


def test_another_prompting_of_the_teacher_is_noted(document):
    assert not any("prompting" in note for note in document.notes)
    given = parts()
    changed = given["benchmarks"]["teacher"].model_copy(update={"prompting": "chain_of_thought"})
    given["benchmarks"]["teacher"] = changed
    (note,) = [note for note in build_report(ReportParts(**given)).notes if "prompting" in note]
    assert "the prompting differs (teacher chain_of_thought, baseline plain, student plain)" in note


def test_examples_show_losses_and_gains(document):
    differences = [e.teacher.score - e.student.score for e in document.examples]
    assert differences == [1.0, 1.0, 1.0, -1.0]
    asked = build_report(
        ReportParts(**parts(), rows=[{"row_id": "x-92", "messages": [{"role": "user", "content": "Why?"}]}])
    )
    assert [e.question for e in asked.examples if e.row_id == "x-92"] == ["Why?"]


def test_an_example_says_which_answer_was_cut_off():
    given = parts()
    given["predictions"]["student"][94]["finish_reason"] = "length"
    document = build_report(ReportParts(**given))
    (found,) = [e for e in document.examples if e.student.is_cut_off]
    assert (found.row_id, found.teacher.is_cut_off) == ("x-94", False)
    assert render_html(document).count("%, cut off<") == 1
    assert render_markdown(document).count("%, cut off)") == 1


def test_summary_rows_are_short_and_have_three_models(document):
    rows = summary_rows(document)
    by_label = {label: cells for label, *cells in rows}
    assert by_label["Latency p50"] == ["43.6 ms", "12.4 ms", "10.4 ms"]
    assert by_label["Parameters"] == ["11.0 M", "1.00 M", "1.00 M"]  # teacher, baseline, student
    assert by_label["Score (95 % interval)"][1].startswith("30.0 % (")
    assert by_label["nli: accuracy"] == ["95.0 %", "30.0 %", "93.0 %"]
    assert by_label["nli: macro F1"]
    assert all(len(cell) < 30 for _, *cells in rows for cell in cells)


def test_words():
    ratios = Ratios(**{**dict.fromkeys(Ratios.model_fields), "parameters": 0.5, "latency": 1.01})
    estimate = RatioEstimate(value=1.032, low=None, high=None, items=9, resamples=100, undefined=9, reason="x")
    assert headline(estimate, ratios) == (
        "The student keeps 103.2 % (no 95 % interval) of the teacher's score with 2.0 times more parameters "
        "and the same latency."
    )
    assert ratio_label(0.25, "faster", "slower") == "4.0× slower"
    assert ratio_label(None, "faster", "slower") == "–"
    assert (size(999), size(3_704_120), size(8.03e9)) == ("999 B", "3.70 MB", "8.03 GB")
    assert percent(0.0001) == "0.01 %"
    retention = RatioEstimate(value=0.95, low=0.9, high=0.99, items=400, resamples=100, undefined=0)
    text = verdict_text(Decision("INCONCLUSIVE", "", 1234), 0.92, retention)
    assert "About 1,300 held-out items would decide it with a probability of 80 %; there are 400." in text
    assert flat_rows({"a": {"b": 1234, "c": [1.5, None]}, "d": [{"e": True}], "f": {}}) == [
        ("a.b", "1,234"), ("a.c", "1.5, not measured"), ("d[0].e", "true"), ("f", "{}"),
    ]  # fmt: skip


def test_a_training_that_stopped_early_is_in_the_notes_and_in_the_lineage():
    words = "overfitting: stopped at step 40 of 80"
    given = parts()
    assert not any("ended early" in note for note in build_report(ReportParts(**given)).notes)
    student = given["provenance"].student_checkpoint.model_copy(update={"stopped": words})
    given["provenance"] = given["provenance"].model_copy(update={"student_checkpoint": student})
    document = build_report(ReportParts(**given))
    assert "The student's training ended early. Overfitting: stopped at step 40 of 80." in document.notes
    assert document.as_json()["lineage"]["student_checkpoint"]["stopped"] == words
    assert "stopped" not in document.as_json()["lineage"]["teacher_model"]
