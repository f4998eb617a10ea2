"""The report: its numbers, its words, and hostile names and rows, which must stay plain text."""

import json
import re
from html.parser import HTMLParser

import numpy as np
import pytest

from distill_dagster.config import EvaluationConfig
from distill_dagster.errors import DataError
from distill_dagster.evaluation.benchmark import score_predictions
from distill_dagster.evaluation.comparison import RatioEstimate
from distill_dagster.evaluation.specs import Benchmark, Hardware
from distill_dagster.evaluation.verdict import Decision
from distill_dagster.report.document import Ratios, ReportDocument, read_document
from distill_dagster.report.numbers import percent, ratio_label, size
from distill_dagster.report.specs import Provenance
from distill_dagster.report.tables import flat_rows, summary_rows
from distill_dagster.report.wording import headline, verdict_text
from distill_dagster.report.writing import build_report, write_pages

HOSTILE = "<script>alert(1)</script>{{7*7}}{% raw %}\"'><img src=x onerror=alert(1)> | [x](javascript:alert(1))"
CONFIG = EvaluationConfig(resamples=1000, retention_target=0.9)
ROLES = ("teacher", "baseline", "student")
SIZES = {"teacher": 11_000_000, "student": 1_000_000, "baseline": 1_000_000}
LATENCIES = {"teacher": 42.0, "student": 10.0, "baseline": 12.0}


def predictions(role: str, scores, text: str = "x") -> list[dict]:
    return [
        {
            "row_id": f"{text}-{i}", "turn": 0, "task": "nli", "model": role, "prediction": f"{text} {score}",
            "parsed": "neutral" if score else None, "reference": ["neutral"], "score": float(score),
            "finish_reason": "stop",
        }
        for i, score in enumerate(scores)
    ]  # fmt: skip


def benchmark(role: str, rows: list[dict], name: str | None = None) -> Benchmark:
    times = [LATENCIES[role] * (1 + i / 32) for i in range(32)]
    return Benchmark.model_validate({
        "role": role,
        "model": {"name": name or role, "revision": "0", "dtype": "auto", "parameters": SIZES[role]},
        **score_predictions(rows, CONFIG).model_dump(),
        **{"rows": len(rows), "predictions": len(rows), "unparsable": 0, "truncated": 0, "failed": 0, "unscored": 0},
        **{"max_new_tokens": 8, "prompting": "plain"},
        "speed": {
            "requests": 32, "skipped": 0, "warm_ups": 3, "batch_size": 1, "concurrency": 1, "max_new_tokens": 8,
            "latencies_ms": times, "first_token_ms": {"p50": 2.0}, "tokens_per_second": 100.0,
            "latency_ms": {f"p{p}": float(np.percentile(times, p)) for p in (50, 95, 99)},
            "prompt_tokens_mean": 20.0, "completion_tokens_mean": 8.0, "load_s": 0.1, "threads": 2,
        },
        "memory": {"weight_bytes": 4 * SIZES[role], "peak_bytes": 5 * SIZES[role], "how": "counted"},
        "parameters": SIZES[role], "bytes_on_disk": 4 * SIZES[role], "dtype": "float32",
        "hardware": {"device": "cpu", "name": "a processor", "cores": 2, "memory_gb": 8.0, "threads": 2},
        "versions": {"torch": "2.13.0"},
    })  # fmt: skip


def provenance(text: str, name: str | None) -> Provenance:
    model = {"data_version": "0123", "created_at": "2026-01-01", "model": name or "a model"}
    rows = {"data_version": "4567", "created_at": "2026-01-02", "rows": 1234, text: 1}
    return Provenance.model_validate(
        {
            "name": name or "demo",
            "shards": 8,
            **dict.fromkeys(("teacher_model", "student_base", "student_checkpoint"), model),
            **dict.fromkeys(("validated_synthetic_set", "eval_dataset"), rows),
        }
    )


def parts(text: str = "x", name: str | None = None) -> dict:
    scores = {"teacher": [1] * 95 + [0] * 5, "student": [1] * 92 + [0] * 7 + [1], "baseline": [0] * 70 + [1] * 30}
    rows = {role: predictions(role, values, text) for role, values in scores.items()}
    return {
        "project": name or "demo",
        "benchmarks": {role: benchmark(role, found, name) for role, found in rows.items()},
        "predictions": rows,
        "evaluation": CONFIG,
        "provenance": provenance(text, name),
        "history": [{"step": 10, "loss": 2.0}, {"step": 20, "validation_loss": 1.5}, {"step": 20, "loss": 1.0}],
    }


@pytest.fixture(scope="module")
def document() -> ReportDocument:
    return build_report(**parts())


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
    assert document.ratios.tokens_per_second == 1.0
    assert document.ratios.peak_memory == 11


def test_the_json_keeps_its_keys(document, tmp_path):
    write_pages(tmp_path, document)
    found = json.loads((tmp_path / "report.json").read_text())
    before = "project headline verdict items retention gap_recovered mcnemar ratios metrics benchmarks examples lineage"
    assert found.keys() == {*before.split(), "history", "evaluation", "notes", "classes"}
    assert list(found["verdict"]) == ["verdict", "target", "reason", "items_needed", "text"]
    assert list(found["retention"]) == ["value", "low", "high", "items", "resamples", "undefined", "reason"]
    assert found["mcnemar"].keys() == {"only_teacher", "only_student", "p_value"}
    assert found["metrics"] == [["nli", "accuracy"], ["nli", "macro_f1"]]
    assert found["lineage"]["teacher_model"].keys() == {"data_version", "created_at", "model"}
    assert found["lineage"]["eval_dataset"].keys() == {"data_version", "created_at", "rows", "x"}
    assert found["history"] == parts()["history"]


def test_a_report_without_classes_reads(document, tmp_path):
    """Reports of earlier versions have none."""
    stored = document.as_json()
    del stored["classes"]
    (tmp_path / "report.json").write_text(json.dumps(stored))
    assert read_document(tmp_path / "report.json") == document.model_copy(update={"classes": []})


def test_a_missing_role_or_other_items_are_refused():
    given = parts()
    del given["benchmarks"]["baseline"]
    with pytest.raises(DataError, match="no benchmark of baseline; materialize baseline_benchmark"):
        build_report(**given)
    given = parts()
    given["predictions"]["student"].pop()
    with pytest.raises(DataError, match=r"1 only in teacher \('x-99'\)"):
        build_report(**given)


def test_a_teacher_that_scores_nothing_still_makes_a_report(tmp_path):
    given = parts()
    for role in ROLES:
        given["predictions"][role] = predictions(role, [0] * 10)
        given["benchmarks"][role] = benchmark(role, given["predictions"][role])
    document = build_report(**given)
    write_pages(tmp_path, document)
    assert document.verdict.verdict == "INCONCLUSIVE"
    assert "teacher scored 0" in document.headline
    assert "teacher scored 0" in (tmp_path / "report.html").read_text()
    assert ("Retention (95 % interval)", "", "", "–") in summary_rows(document)


def test_speeds_of_different_machines_are_not_compared():
    given = parts()
    gpu = Hardware(device="cuda", name="a GPU", cores=2, memory_gb=8.0, threads=2)
    given["benchmarks"]["teacher"] = given["benchmarks"]["teacher"].model_copy(update={"hardware": gpu})
    document = build_report(**given)
    assert document.ratios.latency is None
    assert document.ratios.peak_memory is None
    assert document.ratios.parameters == 11
    assert "latency" not in document.headline
    found = "hardware differs (teacher a GPU, baseline a processor, student a processor)"
    assert any(found in note for note in document.notes)


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
    (note,) = [note for note in build_report(**given).notes if "was measured at" in note]
    assert words in note


def test_another_prompting_of_the_teacher_is_noted(document):
    assert not any("prompting" in note for note in document.notes)
    given = parts()
    changed = given["benchmarks"]["teacher"].model_copy(update={"prompting": "chain_of_thought"})
    given["benchmarks"]["teacher"] = changed
    (note,) = [note for note in build_report(**given).notes if "prompting" in note]
    assert "the prompting differs (teacher chain_of_thought, baseline plain, student plain)" in note


def test_examples_show_losses_and_gains(document):
    differences = [e.teacher.score - e.student.score for e in document.examples]
    assert differences == [1.0, 1.0, 1.0, -1.0]
    asked = build_report(**parts(), rows=[{"row_id": "x-92", "messages": [{"role": "user", "content": "Why?"}]}])
    assert [e.question for e in asked.examples if e.row_id == "x-92"] == ["Why?"]


def test_summary_rows_are_short_and_have_three_models(document):
    rows = summary_rows(document)
    by_label = {label: cells for label, *cells in rows}
    assert by_label["Latency p50"][0] == "62.3 ms"
    assert by_label["Parameters"] == ["11.0 M", "1.00 M", "1.00 M"]  # teacher, baseline, student
    assert by_label["Score (95 % interval)"][1].startswith("30.0 % (")
    assert by_label["nli: accuracy"] == ["95.0 %", "30.0 %", "93.0 %"]
    assert by_label["nli: macro F1"]
    assert all(len(cell) < 30 for _, *cells in rows for cell in cells)


class Page(HTMLParser):
    def __init__(self):
        super().__init__()
        self.tags, self.ids, self.outside, self.text = [], [], [], ""

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        for key, value in attrs:
            if key == "id":
                self.ids.append(value)
            if key in ("src", "href", "xlink:href", "data") and not value.startswith("#"):
                self.outside.append(value)
            assert not key.startswith("on"), (tag, key)

    def handle_data(self, data):
        self.text += data


def read_page(folder) -> tuple[Page, str]:
    page, text = Page(), (folder / "report.html").read_text(encoding="utf-8")
    page.feed(text)
    return page, text


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
    write_pages(tmp_path, build_report(**given, rows=rows))
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
    document = build_report(**given)
    write_pages(tmp_path, document)
    page, _ = read_page(tmp_path)
    assert page.tags.count("svg") == 4
    assert "qa: token F1" in page.text
    assert any("2 tasks" in note for note in document.notes)


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
    assert "About 1,300 held-out items would decide it; there are 400." in text
    assert flat_rows({"a": {"b": 1234, "c": [1.5, None]}, "d": [{"e": True}], "f": {}}) == [
        ("a.b", "1,234"), ("a.c", "1.5, not measured"), ("d[0].e", "true"), ("f", "{}"),
    ]  # fmt: skip


@pytest.mark.parametrize("missing", [None, float("nan")])
@pytest.mark.parametrize("roles", [("teacher",), ROLES])
def test_a_latency_that_is_missing_is_not_measured(tmp_path, missing, roles):
    given = parts()
    for role in roles:
        body = given["benchmarks"][role].model_dump()
        body["speed"] |= {
            "latencies_ms": [] if missing is None else [missing],
            "latency_ms": dict.fromkeys(("p50", "p95", "p99"), missing),
        }
        given["benchmarks"][role] = Benchmark.model_validate(body)
    document = build_report(**given)
    write_pages(tmp_path, document)
    page, _ = read_page(tmp_path)
    markdown, written = (tmp_path / "report.md").read_text(), (tmp_path / "report.json").read_text()
    assert "Teacher: not measured" in page.text
    assert [row[1] for row in summary_rows(document) if row[0].startswith("Latency")] == ["not measured"] * 3
    assert not re.search(r"\bnan\b", page.text + markdown, re.IGNORECASE)
    assert json.loads(written, parse_constant=pytest.fail)["ratios"]["latency"] is None
    assert read_document(tmp_path / "report.json") == document
