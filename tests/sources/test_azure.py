"""Azure's verdicts beside ours: the known differences, and a verdict for every bad record."""

import json
from pathlib import Path

import pytest

from distill_dagster.cli.validation import Validation
from distill_dagster.config import DataConfig
from distill_dagster.sources.files.discovery import named
from distill_dagster.sources.files.lines import Line
from distill_dagster.sources.judging.azure import judge_file, judge_record
from distill_dagster.sources.judging.decoding import Decoded
from distill_dagster.tasks import TASKS

AZURE_FILES = Path("/work/shared/data/azure_nli")
S, U, A = ({"role": role, "content": f"a text of the {role}"} for role in ("system", "user", "assistant"))


def validate(tmp_path, rows, task="nli", name="rows.jsonl"):
    """(line, ours, azure, code) of every verdict, the verdict on the file, and whether anything is refused."""
    path = tmp_path / name
    path.write_bytes(b"".join((row if isinstance(row, bytes) else json.dumps(row).encode()) + b"\n" for row in rows))
    validation = Validation(named([str(path)]), DataConfig(train="x", test="x"), task, "azure")
    verdicts = [(v["line"], v["ours"], v["azure"], v["code"]) for v in validation.refused_rows()]
    return verdicts, validation.files[0], validation.refused


def good(count, *more):
    return [{"messages": [S, {"role": "user", "content": f"question {n}"}, *more]} for n in range(count)]


@pytest.mark.parametrize(
    ("messages", "task", "code"),
    [
        ([U], "nli", "E003"),
        ([S, A], "qa", "E005"),
        ([S, U, U], "nli", "E005"),
        ([S, U, A], "math", "E006"),
        ([S, U], "conversation", "E007"),
        ([S, U, A, U], "conversation", "E007"),
        ([S, {"role": "user"}], "nli", "E004"),
        ([S, "text"], "nli", "E004"),
        ([], "nli", "E002"),
        ("text", "nli", "E002"),
    ],
)
def test_each_of_azures_rules_refuses(tmp_path, messages, task, code):
    ok = good(2, A) if task == "conversation" else good(2)
    verdicts, file, refused = validate(tmp_path, [*ok, {"messages": messages}], task)
    ((line, _, azure, _),) = verdicts
    assert (line, azure, refused) == (3, "refuses", True)
    assert file.refused_by_azure == 1
    item = Decoded(Line(3, b"", 0), {"messages": messages}, "")
    assert code in [found for found, _ in judge_record(item, task)]


def test_every_bad_record_gets_a_verdict_and_not_only_the_first(tmp_path):
    bad = [b"no json", {"messages": [U]}, {"messages": [S, U, A, U]}]
    verdicts, _, _ = validate(tmp_path, [*good(1), *bad, {"messages": [S, U]}, *bad])
    assert [(line, azure) for line, _, azure, _ in verdicts] == [(n, "refuses") for n in (2, 3, 4, 6, 7, 8)]


def test_the_key_messages_counts_and_not_the_first_column(tmp_path):
    verdicts, file, _ = validate(tmp_path, [{"id": "a", "messages": [S, U]}, {"turns": [S, U], "messages": 3}])
    assert verdicts == [(1, "accepts", "refuses", "E002"), (2, "refuses", "accepts", "E002")]
    assert file.counts["rows"] == 1


def test_a_record_of_a_system_message_alone_passes_there_and_not_here(tmp_path):
    assert validate(tmp_path, [*good(1), {"messages": [S]}])[0] == [(2, "refuses", "accepts", "E006")]


@pytest.mark.parametrize("content", ["", "  ", None, 3, ["x"], {"text": "x"}])
def test_blank_and_other_content_passes_there_and_not_here(tmp_path, content):
    bad = {"messages": [S, {"role": "user", "content": content}]}
    assert validate(tmp_path, [*good(1), bad])[0] == [(2, "refuses", "accepts", "E010")]


@pytest.mark.parametrize(
    ("row", "code"),
    [
        (
            b'{"messages": 3, "messages": [{"role": "system", "content": "S"}, {"role": "user", "content": "q"}]}',
            "E001",
        ),
        ({"messages": [S, U], "tools": [{"type": "function"}]}, "E017"),
        ({"messages": [S, {"role": "user", "content": [{"type": "image_url"}]}]}, "E017"),
        ({"messages": [S, U], "input": "another text"}, "E018"),
    ],
)
def test_what_changes_the_question_unseen_passes_there_and_not_here(tmp_path, row, code):
    assert validate(tmp_path, [*good(1), row])[0] == [(2, "refuses", "accepts", code)]


def test_a_developer_passes_here_and_not_there(tmp_path):
    row = {"messages": [{"role": "developer", "content": "S"}, U]}
    assert validate(tmp_path, [row])[0] == [(1, "accepts", "refuses", "E003")]


def test_a_gold_answer_passes_here_and_not_there(tmp_path):
    assert validate(tmp_path, good(1, A))[0] == [(1, "accepts", "refuses", "E006")]


def test_one_question_under_two_system_prompts_is_two_rows(tmp_path):
    rows = [{"messages": [{"role": "system", "content": text}, U]} for text in ("Be brief.", "Be verbose.")]
    verdicts, file, _ = validate(tmp_path, rows)
    assert (verdicts, file.counts["rows"]) == ([], 2)


@pytest.mark.parametrize(("task", "least"), [("nli", 65), ("math", 40), ("summarization", 65), ("qa", 65)])
def test_enough_records(tmp_path, task, least):
    assert validate(tmp_path, good(least), task)[2] is False
    _, file, refused = validate(tmp_path, good(least - 1), task)
    assert refused
    assert file.azure_message == f"E009: Azure requires at least {least} records, the file has {least - 1}"


def test_tasks_and_file_names():
    names = {name: task.azure_name for name, task in TASKS.items() if task.azure_name}
    assert names == {
        "nli": "NLI",
        "conversation": "CONVERSATION",
        "qa": "NLU_QA",
        "math": "MATH",
        "summarization": "SUMMARIZATION",
    }
    found = judge_file("a.jsonl.gz", "classification", 100)
    assert [code for code, _ in found] == ["E008", "E001"]
    assert found[0][1] == "Azure has no task 'classification'; it has NLI, CONVERSATION, NLU_QA, MATH, SUMMARIZATION"
    assert judge_file("a.jsonl", "conversation", 65) == []


@pytest.mark.skipif(not AZURE_FILES.exists(), reason="Azure's example files are not on this machine")
@pytest.mark.parametrize(("name", "rows"), [("train_nli.jsonl", 512), ("validation_nli.jsonl", 256)])
def test_azures_own_example_files_pass(name, rows):
    validation = Validation(named([str(AZURE_FILES / name)]), DataConfig(train="x", test="x"), "nli", "azure")
    assert list(validation.refused_rows()) == []
    assert (validation.files[0].counts["rows"], validation.refused) == (rows, False)
