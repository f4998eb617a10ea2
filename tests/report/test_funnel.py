"""The data's way from source rows to examples: its counts add up, and every refusal is in words."""

import re
from itertools import pairwise
from pathlib import Path

import pytest

from distill_dagster.generation.specs import GenerateCounts
from distill_dagster.quality.filters.in_words import IN_WORDS, in_order, titled
from distill_dagster.quality.filters.reasons import REASONS, RULES
from distill_dagster.quality.specs import SetCounts
from distill_dagster.report.document import read_document
from distill_dagster.report.funnel import NOT_CHOSEN, Funnel, funnel_lines, funnel_text
from distill_dagster.sources.specs import ReadCounts
from distill_dagster.sources.verdicts import VERDICTS
from testing.report_parts import FUNNEL

DOCS = (Path(__file__).parents[2] / "docs" / "verdicts.md").read_text()
READ = [ReadCounts(lines=10, rows=8, rejected=2, E011=1, E001=1), ReadCounts(lines=5, rows=4, rejected=1, E011=1)]
ANSWERED = [
    GenerateCounts(rows=8, requests=16, ok=15, failed=1, truncated=2, unparsed=1, chosen=8),
    GenerateCounts(rows=4, requests=8, ok=8, failed=0, truncated=0, unparsed=0, chosen=4),
]
JUDGED = SetCounts(teacher_rows=12, examples=9, train=8, validation=1, rejected=3, off_form=2, truncated=1)


def numbers(lines) -> list[tuple[int, int]]:
    return [tuple(int(cell.replace(",", "") or 0) for cell in line[1:]) for line in lines]


def add_up(lines) -> bool:
    """Whether each refusal leaves that many fewer, and what begins a part is what the part before it left."""
    pairs = numbers(lines)
    return all(before[1] - now[0] == now[1] for before, now in pairwise(pairs) if now[0])


def test_every_lines_counts_add_up():
    funnel = Funnel.of(READ, ANSWERED, JUDGED)
    assert funnel.gaps == []
    lines = funnel_lines(funnel)
    assert add_up(lines)
    assert [(step.partition(":")[0], *cells) for step, *cells in lines] == [
        ("Source rows read", "", "15"),
        ("E001", "1", "14"),
        ("E011", "2", "12"),
        ("Prompts asked of the teacher", "", "24"),
        ("not chosen", "12", "12"),
        ("truncated (E014)", "1", "11"),
        ("off_form (E013)", "2", "9"),
        ("Examples", "", "9"),
        ("of them for training", "", "8"),
        ("of them for validation", "", "1"),
    ]
    assert lines[4][0] == NOT_CHOSEN
    assert funnel_text(funnel).startswith(
        "Of 24 requests, 1 failed, 2 answers were cut off, and 1 could not be parsed."
    )


def test_counts_that_do_not_add_up_are_said():
    of_another_time = [*ANSWERED[:1], ANSWERED[1].model_copy(update={"rows": 3, "chosen": 3})]
    says = funnel_text(Funnel.of(READ, of_another_time, JUDGED))
    assert "rows that the teacher was asked about: 12 and 11; chosen answers: 11 and 12." in says
    lost = JUDGED.model_copy(update={"examples": 8, "train": 7})
    assert Funnel.of(READ, ANSWERED, lost).gaps == ["judged answers: 12 and 11"]


def test_the_counts_of_a_finished_project_add_up(made):
    document = read_document(made[0].store.get("eval_report").file("report.json"))
    found = document.funnel
    assert found.gaps == []
    assert found.source_rows == found.rows + sum(found.refused_rows.values()) > 0
    assert found.refused_answers, "a teacher of this size writes answers that are refused"
    lines = funnel_lines(found)
    assert add_up(lines)
    assert numbers(lines)[-3][1] == found.examples == sum(pair[1] for pair in numbers(lines)[-2:])
    page = made[0].store.get("eval_report").file("report.html").read_text()
    for reason in found.refused_answers:
        assert IN_WORDS[reason].split("'")[0] in page


def documented(title: str) -> dict[str, str]:
    """Code or reason -> its words, in a table of docs/verdicts.md."""
    text = DOCS.split(f"## {title}")[1].split("## ")[0].replace("`", "")
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in text.splitlines() if line.startswith("|")]
    return {row[0]: row[-1] for row in rows[2:]}


@pytest.mark.parametrize(("title", "words"), [("Source rows", VERDICTS), ("Teacher rows", IN_WORDS)])
def test_the_words_are_those_of_the_docs(title, words):
    says = documented(title)
    assert says.keys() == words.keys()
    assert {name: says[name] for name in words if not says[name].startswith(words[name])} == {}


def test_every_reason_has_words_and_its_place():
    assert IN_WORDS.keys() == set(REASONS)
    assert list(in_order({"label_cap": 1, "of_old": 2, "failed": 3, "echo": 0})) == ["failed", "label_cap", "of_old"]
    assert titled("failed") == "failed (E014): the teacher gave no answer"
    assert titled("E011") == "E011: different rows in different shards have one id"
    assert titled("of_old") == "of_old"
    assert {code for code in re.findall(r"E\d+", " ".join(map(titled, REASONS)))} == set(RULES.values())


def test_the_made_report_adds_up():
    assert FUNNEL.gaps == []
    assert add_up(funnel_lines(FUNNEL))
