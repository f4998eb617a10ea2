"""What a terminal shows: no number is torn where it is narrow, and no path loses a character."""

import io
import re
from collections import Counter

import pytest
from rich.console import Console

from distill_dagster.cli.console import say, shown_path, table

ROWS = [
    ["Score (95 % interval)", "98.6 % (97.0–99.5)", "0.0 % (0.0–1.0)"],
    ["Retention (95 % interval)", "", "99.7 % (97.7–101.7)"],
    ["requests", "1,234,567", "12,345.6789 USD"],
]
DECISION = {
    "number": "1",
    "at": "2026-11-28T03:11:14+00:00",
    "student": "97afd561f6f1",
    "outcome": "refused",
    "released": "none",
    "who": "distill-dagster run (someone)",
    "why": "teacher /models/teacher: confirm with `release.i_have_checked_the_licence: true` that its terms allow this",
}
NUMBERS = re.compile(r"[\d,.–]*\d")


def shown(width: int, print_to, terminal: bool = True) -> str:
    console = Console(file=io.StringIO(), width=width, force_terminal=terminal, no_color=True)
    print_to(console)
    return re.sub(r"\x1b\[[0-9;]*m", "", console.file.getvalue())


@pytest.mark.parametrize("width", [30, 45, 60, 80, 120])
@pytest.mark.parametrize("whole", [True, False])
def test_a_narrow_table_tears_no_number(width, whole):
    text = shown(width, lambda console: console.print(table(None, ["", "teacher", "student"], ROWS, whole)))
    for row in ROWS:
        for number in NUMBERS.findall(" ".join(row[1:])):
            assert re.search(rf"(?<![\d,.–]){re.escape(number)}(?![\d,.–]*\d)", text), (number, text)


@pytest.mark.parametrize("width", range(40, 180, 7))
def test_a_table_of_long_texts_loses_no_character(width):
    text = shown(width, lambda console: console.print(table("Releases", [*DECISION], [[*DECISION.values()]] * 2)))
    lines = text.rstrip().splitlines()
    assert max(map(len, lines)) <= width
    assert not Counter("".join([*DECISION.values()] * 2).replace(" ", "")) - Counter(text)
    assert lines[-1].endswith("┘") or width < 92, "what the columns need, and their borders"


def test_a_table_without_rows_is_shown():
    assert "student" in shown(60, lambda console: console.print(table("t", ["", "student"], [])))
    shown(60, lambda console: console.print(table("t", [], [])))


@pytest.mark.parametrize("width", range(20, 50))
def test_a_terminal_folds_a_sentence_between_words(width):
    sentence = "verdict: PASS. It keeps 99.7 % (97.7–101.7) of 1,234,567 points, see /a/path/longer/than/the/terminal"
    lines = shown(width, lambda console: say(sentence, console)).splitlines()
    assert [word for line in lines for word in line.split()] == sentence.split()
    assert len(lines) > 1


def test_a_log_has_a_sentence_on_one_line_without_markup():
    sentence = "[bold]error[/bold] " + "word " * 60 + "end"
    assert shown(80, lambda console: say(sentence, console), terminal=False) == sentence + "\n"


def test_paths_are_shown_from_the_working_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert shown_path(tmp_path / "store" / "report.html") == "store/report.html"
    assert shown_path(tmp_path.parent / "other") == str(tmp_path.parent / "other")
    assert shown_path("s3://bucket/rows.jsonl") == "s3://bucket/rows.jsonl"
