"""The lesson's targets: met, not met, undecided by the interval, or withheld with the reason."""

import pytest

from distill_dagster.cli.outcome import print_report
from distill_dagster.config import EndpointConfig, PriceConfig, SpeedConfig
from distill_dagster.evaluation.comparison import RatioEstimate
from distill_dagster.evaluation.speed.specs import SpeedDocument
from distill_dagster.evaluation.speed.summary import figures, ratios
from distill_dagster.models.ref import ModelRef
from distill_dagster.report.lesson import lesson_rows, outcome_of
from distill_dagster.report.parts import ReportParts
from distill_dagster.report.timing import how_timed, level_rows, speed_notes, withheld_notes
from distill_dagster.report.writing import build_report, write_pages
from testing.report_parts import parts
from testing.timed import made_rounds, made_speed, timed_model
from tests.report.page import read_page

CONFIG = SpeedConfig(rounds=3, concurrency=[1, 8])
NOISE = (1.0, 1.01, 0.99)


def retention(value: float, low: float, high: float) -> RatioEstimate:
    return RatioEstimate(value=value, low=low, high=high, items=400, resamples=100, undefined=0)


def speed(times: float) -> SpeedDocument:
    """The student is `times` as fast as the teacher in each round, give or take 1 %."""
    latencies = [{"teacher": 100 * noise, "baseline": 10, "student": 100 / times} for noise in NOISE]
    return made_speed(made_rounds(latencies, CONFIG.concurrency), CONFIG)


def outcomes(found: RatioEstimate, document: SpeedDocument | None) -> list[str]:
    return [row.outcome for row in lesson_rows(found, document)]


def test_each_target_is_met_where_its_whole_interval_is():
    assert outcomes(retention(0.98, 0.95, 1.01), speed(20)) == ["met", "met", "not met", "met", "met"]
    assert outcomes(retention(0.85, 0.8, 0.9), speed(2)) == ["not met"] * 5
    assert outcomes(retention(0.98, 0.95, 1.01), speed(10)) == ["met", "met", "not met", "met", "undecided"]


def test_a_point_of_92_1_is_no_92():
    """Even of 50,000 items, its interval reaches below 92 %."""
    (row, *_) = lesson_rows(retention(0.921, 0.919, 0.923), None)
    assert (row.outcome, row.target) == ("undecided", "at least 92 %")
    assert row.measured == "92.1 % (91.9–92.3)"


@pytest.mark.parametrize(
    ("low", "high", "outcome"), [(0.92, 0.99, "met"), (0.8, 0.9199, "not met"), (0.91, 0.93, "undecided")]
)
def test_an_interval_decides(low, high, outcome):
    assert outcome_of(low, high, 0.92) == outcome


def test_what_was_measured_is_written_as_the_change_that_the_target_asks_for():
    rows = {row.what: row for row in lesson_rows(retention(0.98, 0.95, 1.01), speed(20))}
    latency, memory = rows["Latency of an answer"].measured, rows["Memory of the weights"].measured
    assert latency.startswith("95.0 % lower (")
    assert memory == "90.9 % lower: 44.0 MB to 4.00 MB; peak 55.0 MB to 5.00 MB, over a runtime of 500 MB"
    assert rows["Users: answers a second, 8 in flight"].measured.startswith("20.0 times (")
    slower = {row.what: row.measured for row in lesson_rows(retention(0.98, 0.95, 1.01), speed(0.5))}
    assert slower["Latency of an answer"].startswith("100.0 % higher (-")


def test_a_withheld_ratio_is_said_with_its_reason_everywhere(tmp_path, capsys):
    latencies = [{"teacher": 100, "baseline": 10, "student": 10}] * 3
    busy = made_speed(made_rounds(latencies, CONFIG.concurrency, slowdowns=[1, 2, 1]), CONFIG)
    assert outcomes(retention(0.98, 0.95, 1.01), busy) == ["met", "withheld", "not met", "withheld", "withheld"]
    (note,) = withheld_notes(busy)
    assert "latency p50 with 1 in flight" in note
    assert "above 1.3 in 1 of 3 rounds" in note
    document = build_report(ReportParts(**{**parts(), "speed": busy}))
    assert "latency" not in document.headline
    assert document.ratios.latency is None
    write_pages(tmp_path, document)
    page, _ = read_page(tmp_path)
    print_report(document, tmp_path / "report.html")
    for text in (page.text, (tmp_path / "report.md").read_text(), " ".join(capsys.readouterr().err.split())):
        assert "the machine did other work" in text
        assert "withheld" in text.casefold()


@pytest.mark.parametrize(
    ("slowest", "fastest", "outcome", "measured"),
    [
        (15, 20, "met", "93.3 % lower to 95.0 % lower in each of 3 rounds, which differ by more than 20 %"),
        (1, 2, "not met", "0.0 % lower to 50.0 % lower in each of 3 rounds, which differ by more than 20 %"),
        (5, 8, "withheld", "the rounds differ by 46%: from 5.00 to 8.00 times"),
    ],
)
def test_where_the_rounds_differ_a_target_is_met_if_every_round_reaches_it(slowest, fastest, outcome, measured):
    times = [slowest, fastest, (slowest + fastest) / 2]
    document = made_speed(made_rounds([{"teacher": 100, "student": 100 / t} for t in times], (1,)), CONFIG)
    assert document.ratio("latency").value is None
    latency = lesson_rows(retention(0.98, 0.95, 1.01), document)[1]
    assert (latency.outcome, latency.measured) == (outcome, measured)


def test_models_that_were_not_timed_are_no_reason_to_fail(tmp_path):
    assert outcomes(retention(0.98, 0.95, 1.01), None) == ["met", *["withheld"] * 4]
    write_pages(tmp_path, build_report(ReportParts(**{**parts(), "speed": None, "data_cost": None})))
    assert "speed was not measured" in read_page(tmp_path)[0].text


def api_speed(config: SpeedConfig, priced: bool = True) -> SpeedDocument:
    """A teacher behind an endpoint that takes 1 s and 0.001 USD for an answer, and a student that takes 10 ms."""
    price = PriceConfig(prompt=0, completion=125) if priced else None
    endpoint = EndpointConfig(url="http://127.0.0.1:1/v1", model="big", price=price)
    teacher = timed_model("teacher", engine="endpoint").model_copy(
        update={"model": ModelRef(name="big", revision="0", endpoint=endpoint)}
    )
    models, rounds = [teacher, timed_model("student")], made_rounds([{"teacher": 1000, "student": 10}] * 3)
    paid = {"cpu_s": None, "waited_s": None, "cost_usd": 0.004}
    rounds = [
        one.model_copy(update={"turns": [one.turns[0].model_copy(update=paid), *one.turns[1:]]}) for one in rounds
    ]
    shown = made_speed(rounds, config)
    found = [figures(model, rounds, config, None) for model in models]
    return shown.model_copy(update={"models": found, "ratios": ratios(models, rounds, config)})


def test_a_teacher_behind_an_endpoint_is_labelled_and_its_cost_needs_both_prices():
    config = CONFIG.model_copy(update={"usd_per_hour": 3.6})  # 0.001 USD a second
    rows = {row.what: row for row in lesson_rows(retention(0.98, 0.95, 1.01), api_speed(config))}
    latency = rows["Latency of an answer"]
    assert (latency.outcome, latency.measured) == (
        "met",
        "99.0 % lower (99.0–99.0); the teacher's includes the network",
    )
    assert rows["Cost of an answer"].measured.startswith("99.0 % lower")  # 0.001 USD to 0.00001
    assert rows["Memory of the weights"].outcome == "withheld"
    assert rows["Users: answers a second, 1 in flight"].outcome == "withheld"
    assert any("teacher (with the network)" in row for row in level_rows(api_speed(config)))
    without = {row.what: row for row in lesson_rows(retention(0.98, 0.95, 1.01), api_speed(CONFIG))}
    assert without["Cost of an answer"].measured == (
        "it needs the `evaluation.speed.usd_per_hour`, what this machine costs"
    )
    free = {row.what: row for row in lesson_rows(retention(0.98, 0.95, 1.01), api_speed(config, priced=False))}
    assert free["Cost of an answer"].measured == "it needs the `price` of the endpoint"


def test_the_method_is_stated():
    said = how_timed(speed(10))
    assert "in turns, at one time, in 3 rounds of 4 prompts" in said
    assert "on a processor, 2 cores, 2 threads, at a load average of 0.5 to 0.5" in said
    assert "paired by round" in said
    assert "at most 1.3" in said


def test_the_page_has_the_targets_each_concurrency_and_the_cost_of_a_row(tmp_path):
    write_pages(tmp_path, build_report(ReportParts(**parts())))
    page, _ = read_page(tmp_path)
    for text in (page.text.replace("\u00a0", " "), (tmp_path / "report.md").read_text()):
        for wanted in ("Against the lesson's targets", "85 % lower", "requests in flight", "An accepted training row"):
            assert wanted in text
        assert "10.0 ms of the machine" in text


FORMS = {"onnx_int8": "onnxruntime-genai", "gguf_q8_0": "llama.cpp"}


def with_exports(times: float, slowdowns=None, device="cpu") -> SpeedDocument:
    """The student is twice as fast as the teacher, and its exports are `times` as fast."""
    latencies = [
        {"teacher": 100 * noise, "baseline": 50, "student": 50, **dict.fromkeys(FORMS, 100 / times)} for noise in NOISE
    ]
    rounds = made_rounds(latencies, CONFIG.concurrency, slowdowns)
    exports = [timed_model(form, engine=engine) for form, engine in FORMS.items()]
    shown = made_speed(rounds, CONFIG, exports)
    return shown.model_copy(update={"device": device})


def test_the_shipped_export_is_held_against_the_targets_beside_the_student():
    document = with_exports(40)
    rows = lesson_rows(retention(0.98, 0.95, 1.01), document, "onnx_int8")
    assert [row.outcome for row in rows] == ["met", *("not met", "met") * 4]
    assert [row.what for row in rows[1:5]] == [
        "Latency of an answer, same engine",
        "Latency of an answer, shipped engine (onnx_int8)",
        "Memory of the weights, same engine",
        "Memory of the weights, shipped engine (onnx_int8)",
    ]
    assert rows[2].measured.startswith("97.5 % lower (")
    assert (
        rows[4].measured
        == "97.7 % lower: 44.0 MB to 1.00 MB; peak 55.0 MB to 2.00 MB, over runtimes of 500 MB and 80.0 MB"
    )
    for shipped in (None, "gguf_f16"):
        plain = lesson_rows(retention(0.98, 0.95, 1.01), document, shipped)
        assert [row.what for row in plain] == [row.what for row in lesson_rows(retention(0.98, 0.95, 1.01), speed(2))]


def test_an_export_on_the_cpu_beside_a_teacher_on_a_gpu_is_named_so():
    rows = lesson_rows(retention(0.98, 0.95, 1.01), with_exports(40, device="cuda:0"), "onnx_int8")
    assert rows[2].what == "Latency of an answer, shipped engine (onnx_int8 on the CPU, the teacher on cuda:0)"


def test_the_page_has_a_column_for_each_export(tmp_path):
    write_pages(tmp_path, build_report(ReportParts(**{**parts(), "speed": with_exports(40), "shipped": "onnx_int8"})))
    page, _ = read_page(tmp_path)
    markdown = (tmp_path / "report.md").read_text()
    for text in (page.text.replace("\u00a0", " "), markdown.replace("\\_", "_")):
        for wanted in ("The student and its exports", "shipped engine (onnx_int8)", "gguf_q8_0", "llama.cpp"):
            assert wanted in text
        assert "40× faster" in text
    (line,) = [line for line in markdown.splitlines() if line.startswith("| Weights in memory | 4.00 MB (")]
    assert line == "| Weights in memory | 4.00 MB (11× smaller) | 1.00 MB (44× smaller) | 1.00 MB (44× smaller) |"


def test_a_report_without_exports_has_no_table_of_them(tmp_path):
    write_pages(tmp_path, build_report(ReportParts(**parts())))
    page, _ = read_page(tmp_path)
    for text in (page.text, (tmp_path / "report.md").read_text()):
        assert "exports" not in text
        assert "engine (" not in text


def test_a_withheld_ratio_of_an_export_is_said_with_its_reason():
    notes = withheld_notes(with_exports(40, slowdowns=[1, 2, 1]))
    assert [note.split(" against teacher")[0] for note in notes] == [
        f"Withheld, {name}" for name in ("student", *FORMS)
    ]


def test_exports_on_another_device_than_the_models_are_noted():
    said = "The exports were timed on the CPU, and the other models on cuda:0."
    assert said in speed_notes(with_exports(40, device="cuda:0"), 1)
    assert said not in speed_notes(with_exports(40), 1)
