"""`distill-dagster validate FILES`: tables, JSON, exit codes, with no config and nothing written."""

import json

import pytest
from typer.testing import CliRunner

from distill_dagster.cli import app, validation

ROW = {"messages": [{"role": "system", "content": "S"}, {"role": "user", "content": "q"}]}


@pytest.fixture
def command(monkeypatch, tmp_path):
    monkeypatch.delenv("DISTILL_CONFIG", raising=False)
    monkeypatch.chdir(tmp_path)
    return lambda *arguments: CliRunner().invoke(app, ["validate", *(str(a) for a in arguments)])


def write(path, *rows):
    path.write_text("".join((row if isinstance(row, str) else json.dumps(row)) + "\n" for row in rows))
    return path


def test_a_good_file_needs_no_config(tmp_path, command):
    path = write(tmp_path / "a b.jsonl", ROW)
    done = command("--task", "nli", path)
    assert done.exit_code == 0, done.output
    assert "Source files" in done.stdout
    (judged,) = json.loads(command("--task", "nli", "--json", path).stdout)["files"]
    assert (judged["file"], judged["rows"]) == (str(path), 1)
    assert [p.name for p in tmp_path.iterdir()] == ["a b.jsonl"], "nothing is made"


def test_refused_rows_are_json_with_file_line_code_message_and_snippet(tmp_path, command):
    one, two = write(tmp_path / "1.jsonl", ROW, "x", {}), write(tmp_path / "2.jsonl", "[]")
    done = command("--task", "nli", "--json", one, two)
    assert done.exit_code == 1
    document = json.loads(done.stdout)
    assert [(r["file"], r["line"], r["code"], r["snippet"]) for r in document["rejects"]] == [
        (str(one), 2, "E001", "x"),
        (str(one), 3, "E002", "{}"),
        (str(two), 1, "E001", "[]"),
    ]
    assert all(r["message"].startswith(r["code"]) and "azure" not in r for r in document["rejects"])
    assert [(f["lines"], f["rows"], f["rejected"]) for f in document["files"]] == [(3, 1, 2), (1, 0, 1)]
    assert "none of 1 rows is valid" in document["files"][1]["error"]


def test_a_gold_answer_that_no_parser_reads_is_said_and_refuses_nothing(tmp_path, command):
    rows = [{**ROW, "id": str(n), "reference": answer} for n, answer in enumerate(["neutral", "sprot", "maybe"], 1)]
    path = write(tmp_path / "a.jsonl", *rows)
    done = command("--task", "nli", path)
    assert done.exit_code == 0, done.output
    says = "a.jsonl: 2 of 3 rows have no gold answer in their task's form, such as 'sprot' of row 2 (line 2 of a); "
    assert says + "its labels are entailment, neutral, contradiction" in " ".join(done.stdout.split())
    (judged,) = json.loads(command("--task", "nli", "--json", path).stdout)["files"]
    assert (judged["rows"], judged["rejected"], judged["gold"], judged["gold_off_form"]) == (3, 0, 3, 2)
    assert judged["gold_message"].startswith("2 of 3 rows")


def test_gold_answers_are_counted_and_those_of_a_conversation_are_its_replies(tmp_path, command):
    asked, replied = {"role": "user", "content": "hi"}, {"role": "assistant", "content": "hello"}
    rows = [{"id": "1", "messages": [asked, replied]}, {"id": "2", "messages": [asked, {**replied, "weight": 0}]}]
    path = write(tmp_path / "a.jsonl", *rows)
    (judged,) = json.loads(command("--task", "conversation", "--json", path).stdout)["files"]
    assert (judged["rows"], judged["gold"], judged["gold_off_form"]) == (2, 1, 0)


def test_a_configs_labels_are_those_of_its_gold_answers(tmp_path, command):
    write(tmp_path / "a.jsonl", *({**ROW, "id": answer, "reference": answer} for answer in ("sport", "sprot")))
    write(tmp_path / "t.jsonl", {**ROW, "id": "t", "reference": "news"})
    config = {"name": "x", "task": "classification", "data": {"train": "a.jsonl", "test": "t.jsonl"}}
    models = {"teacher": {"model": {"name": "t"}}, "student": {"model": {"name": "s"}}}
    (tmp_path / "distill.yaml").write_text(json.dumps({**config, **models, "quality": {"labels": ["sport", "news"]}}))
    said = " ".join(command().stdout.split())
    assert "1 of 2 rows have no gold answer in their task's form, such as 'sprot' of row sprot (line 2 of " in said


def test_the_table_is_capped_and_says_so(tmp_path, command):
    done = command("--task", "nli", write(tmp_path / "a.jsonl", ROW, *["{}"] * 70))
    assert done.exit_code == 1
    assert f"Refused rows (70, the first {validation.SHOWN} of them; --json prints all)" in done.stdout
    assert done.stdout.count("a:") == validation.SHOWN
    assert "E002 70" in done.stdout


def test_azures_verdicts_stand_in_a_column(tmp_path, command):
    rows = [{"messages": [ROW["messages"][0], {"role": "user", "content": f"q {n}"}]} for n in range(64)]
    path = write(tmp_path / "a.jsonl", *rows, {"messages": ROW["messages"][:1]})
    done = command("--task", "nli", "--compat", "azure", path)
    assert done.exit_code == 1
    assert "accepts" in done.stdout
    (reject,) = json.loads(command("--task", "nli", "--compat", "azure", "--json", path).stdout)["rejects"]
    assert (reject["line"], reject["ours"], reject["azure"], reject["azure_message"]) == (65, "refuses", "accepts", "")
    write(path, *rows)
    short = command("--task", "nli", "--compat", "azure", "--json", path)
    assert short.exit_code == 1, "64 records are too few for Azure"
    assert "E009" in json.loads(short.stdout)["files"][0]["azure_message"]
    assert command("--task", "nli", path).exit_code == 0


def test_patterns_and_formats(tmp_path, command):
    write(tmp_path / "a.jsonl", {"instruction": "q"})
    write(tmp_path / "b.jsonl", {"instruction": "r"})
    found = json.loads(command("--task", "qa", "--format", "alpaca", "--json", "*.jsonl").stdout)
    assert [f["rows"] for f in found["files"]] == [1, 1]
    assert command("--task", "qa", "--format", "chat", "*.jsonl").exit_code == 1


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["a.jsonl"], "need a --task"),
        (["--task", "nli"], "are for FILES"),
        (["--task", "nli", "none.jsonl"], "matches no file"),
        (["--task", "nli", "a.csv"], "does not end in .jsonl"),
    ],
)
def test_what_cannot_be_asked_exits_with_two(tmp_path, command, arguments, says):
    write(tmp_path / "a.jsonl", ROW)
    write(tmp_path / "a.csv", "x")
    done = command(*arguments)
    assert done.exit_code == 2
    assert says in " ".join(done.output.split())
