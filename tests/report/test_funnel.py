"""The data's way from source rows to examples: its counts add up, and every refusal is in words."""

import json
import re
from itertools import pairwise
from pathlib import Path

import pytest

from distill_dagster.config import DataConfig, QualityConfig
from distill_dagster.generation.specs import GenerateCounts
from distill_dagster.generation.table import count
from distill_dagster.quality.filters.in_words import IN_WORDS, in_order, titled
from distill_dagster.quality.filters.reasons import REASONS, RULES
from distill_dagster.quality.specs import SetCounts
from distill_dagster.report.document import read_document
from distill_dagster.report.funnel import NOT_CHOSEN, Funnel, funnel_lines, funnel_text
from distill_dagster.sources.files.discovery import SourceFile
from distill_dagster.sources.in_words import VERDICTS
from distill_dagster.sources.judging.raw_tables import read_rows
from distill_dagster.sources.specs import ReadCounts, ReadSpec
from distill_dagster.store import files, parquet
from testing.report_parts import FUNNEL
from testing.set_rows import answer
from testing.sets import select_examples

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
    """Whether each refusal leaves that many fewer than the line before it."""
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
    lines = funnel_lines(found)
    assert add_up(lines)
    assert numbers(lines)[-3][1] == found.examples == sum(pair[1] for pair in numbers(lines)[-2:])
    assert "Source rows read" in made[0].store.get("eval_report").file("report.md").read_text()


GOOD = [{"messages": [{"role": "user", "content": f"{i} + {i}?"}]} for i in range(12)]
BAD = ["no JSON", json.dumps({"messages": []}), json.dumps(GOOD[0])]  # the last one repeats a row
SAID = ["2", None, "", "None", "As an AI language model I add.", *map(str, range(7))]


def answers_to(rows: list[dict]) -> list[dict]:
    """The chosen and one other answer to each row; the chosen ones are those of `SAID`."""
    lines = [answer(row["row_id"], text, answer=text, chosen=True) for row, text in zip(rows, SAID, strict=True)]
    lines[1] |= {"status": "failed", "finish_reason": "error", "error_code": "http_500"}
    lines[5] |= {"finish_reason": "length"}
    return [*lines, *({**line, "sample": 1, "chosen": False} for line in lines)]


def test_the_counts_of_made_rows_and_answers_add_up(tmp_path):
    """The readers and the filters themselves count rows and answers, and refuse some."""
    path = tmp_path / "part.jsonl"
    path.write_text("\n".join([*map(json.dumps, GOOD), *BAD]) + "\n")
    source, data = SourceFile("part", "train", str(path)), DataConfig(train="x", test="x")
    read = read_rows(ReadSpec(files=[source], data=data, task="qa", unique_ids=False, out=str(tmp_path)), "cpu")
    rows = parquet.read_table(tmp_path / files.RAW_FILE)
    table = answers_to(rows)
    built = select_examples(rows, [line for line in table if line["chosen"]], [], QualityConfig(contamination="exact"))
    funnel = Funnel.of([read.counts], [count(rows, table)], built.counts)
    assert funnel.gaps == []
    assert add_up(funnel_lines(funnel))
    assert funnel.refused_rows == {"E001": 1, "E002": 1, "E011": 1}
    assert {"failed", "truncated", "empty", "placeholder", "self_reference"} <= funnel.refused_answers.keys()
    assert (funnel.source_rows, funnel.requests, funnel.failed, funnel.truncated) == (15, 24, 2, 2)
    assert funnel.examples == 12 - sum(funnel.refused_answers.values()) > 0


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
