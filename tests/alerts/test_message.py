"""The message: what failed, the numbers, harmless example rows, and the link."""

import dataclasses

import pytest

from distill_dagster.alerts.message import DETAILED, LISTED, Example, Failure, compose, shown

FAILURE = Failure(
    asset="teacher_outputs",
    shard="train-part-03",
    check="enough_answers",
    severity="error",
    description="612 of 1,250 prompts have a whole answer (49.0%); 70.0% are wanted",
    run_id="6d3c",
    blocking=True,
    numbers={"success_share": 0.48961, "failed": 12, "truncated": 1626},
    examples=(Example("row train.csv#15", "truncated", "The premise says that"),),
)
UI = "http://127.0.0.1:3000"


def test_a_failed_check_is_described_in_full():
    message = compose("intent", [FAILURE], UI)
    assert message.title == "[intent] ERROR: enough_answers on teacher_outputs[train-part-03]"
    assert message.severity == "error"
    assert message.body.splitlines() == [
        "ERROR: check enough_answers failed on teacher_outputs, shard train-part-03",
        "612 of 1,250 prompts have a whole answer (49.0%); 70.0% are wanted",
        "success_share: 0.4896, failed: 12, truncated: 1,626",
        "Nothing that follows is made until the check passes.",
        "http://127.0.0.1:3000/runs/6d3c",
        "1. row train.csv#15: truncated",
        "   The premise says that",
    ]


def test_a_failed_run_names_the_step():
    failure = Failure("student_checkpoint", None, None, "error", "CUDA out of memory", "77")
    message = compose("intent", [failure], UI)
    assert message.title == "[intent] ERROR: run failed at student_checkpoint"
    assert (
        "ERROR: the run failed at student_checkpoint\nCUDA out of memory\nhttp://127.0.0.1:3000/runs/77" in message.body
    )


def test_errors_come_before_warnings():
    warning = dataclasses.replace(FAILURE, check="verdict", severity="warn", blocking=False)
    message = compose("intent", [warning, FAILURE], UI)
    assert message.title.endswith("ERROR: enough_answers on teacher_outputs[train-part-03], and 1 more")
    assert message.body.index("enough_answers") < message.body.index("verdict")
    assert compose("intent", [warning], UI).severity == "warn"


@pytest.mark.parametrize("count", [1, DETAILED, DETAILED + 1, DETAILED + LISTED, DETAILED + LISTED + 7])
def test_each_of_many_failures_is_described_listed_or_counted(count):
    failures = [dataclasses.replace(FAILURE, shard=f"part-{i:03}", run_id=f"run-{i:03}") for i in range(count)]
    body = compose("intent", failures, UI).body
    named = sum(f"/runs/run-{i:03}" in body for i in range(count))
    assert named == min(count, DETAILED + LISTED)
    assert ("more" in body) == (named < count)
    if named < count:
        assert f"and {count - named} more" in body


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("a\nb\r\n\tc\x00\x1b[31m d", "a b c [31m d"),
        ("\u202egnp.exe\u202c", "gnp.exe"),
        ("ana\u200b@example.org", "[email]"),  # an invisible character does not hide an address
        ("@everyone @here", "@\u2060everyone @\u2060here"),
        ("see https://evil.example www.evil.example", "see https:\u2060//evil.example www\u2060.evil.example"),
        ("-----BEGIN RSA PRIVATE KEY-----\nabc\ndef", "[private_key]"),
        ("half \ud83d", "half"),
        ("1 < 2 <b>x</b>", "1 < 2 <\u2060b>x<\u2060/b>"),
    ],
)
def test_a_row_is_one_harmless_line(text, line):
    assert shown(text, 100) == line


def test_a_row_is_redacted_before_it_is_cut():
    text = "x" * 90 + " sk-ant-api03-" + "aB3d" * 10
    assert shown(text, 110) == "x" * 90 + " [api_key]"
    cut = shown("y" * 500, 110)
    assert len(cut) == 110
    assert cut.endswith("…")


def test_a_rise_from_warning_to_error_is_another_failure():
    assert FAILURE.key != dataclasses.replace(FAILURE, severity="warn").key
    assert FAILURE.key != dataclasses.replace(FAILURE, shard="train-part-04").key
    assert FAILURE.key == dataclasses.replace(FAILURE, run_id="another", description="610 of 1,250").key
