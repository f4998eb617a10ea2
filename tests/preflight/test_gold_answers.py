"""A project without a gold answer in its training rows is stopped before anything is made or asked."""

import json
from pathlib import Path

from typer.testing import CliRunner

from distill_dagster.cli import app
from distill_dagster.config.reading import load_config
from distill_dagster.preflight.memory import training_of
from distill_dagster.preflight.pending import Pending
from testing.api_project import write_api_project
from testing.projects import write_project
from tests.preflight.looks import errors, look_at

GOLD = {"evaluation.gold_student": True}


def without_gold(path: Path) -> Path:
    """Remove the gold answers of all training rows; those for validation and test keep theirs."""
    for file in (path.parent / "data" / "train").glob("*.jsonl"):
        rows = [json.loads(line) for line in file.read_text().splitlines()]
        kept = [{key: value for key, value in row.items() if key != "reference"} for row in rows]
        file.write_text("".join(json.dumps(row) + "\n" for row in kept))
    return path


def test_training_rows_without_a_gold_answer_are_an_error_and_are_counted(tmp_path):
    path = without_gold(write_project(tmp_path, **GOLD))
    for whole in (True, False):
        (said,) = errors(path, whole=whole).values()
        assert "0 of 90 prompts of the training rows have one" in said
        assert "add `reference` to training rows, or remove `evaluation.gold_student`" in said


def test_one_gold_answer_is_enough_and_a_project_that_asks_for_none_needs_none(tmp_path):
    assert errors(write_project(tmp_path / "with", **GOLD)) == {}
    found = [found for found in look_at(tmp_path / "with" / "distill.yaml") if found.what == "gold answers"]
    assert [(one.state, one.found) for one in found] == [("ok", "training rows of train-part-00 have gold answers")]
    plain = without_gold(write_project(tmp_path / "plain"))
    assert not any(found.what == "gold answers" for found in look_at(plain))


def test_its_training_is_planned_without_the_teacher_beside_it(tmp_path):
    """A student that learns hidden states has its teacher in memory, and the gold student has none."""
    hidden = {"student.training.signal": "hidden", "student.training.max_length": 64}
    config = load_config(write_project(tmp_path, **GOLD, **hidden))
    pending = Pending(config, ())
    student, gold = (training_of(name, pending) for name in ("student_checkpoint", "gold_student_checkpoint"))
    assert (student.signal, gold.signal, gold.max_length) == ("hidden", "text", 64)
    needed = {one.of: one.found for one in look_at(tmp_path / "distill.yaml", whole=True) if one.what == "memory"}
    assert needed["gold_student_checkpoint"] != needed["student_checkpoint"]


def test_rows_that_cannot_be_read_are_not_called_rows_without_gold(tmp_path):
    path = without_gold(write_project(tmp_path, **GOLD))
    (tmp_path / "data" / "train" / "part-01.jsonl").write_text("")
    (found,) = [found for found in look_at(path, whole=False) if found.what == "gold answers"]
    assert (found.state, found.found) == ("not checked", "train-part-01 cannot be read")


def test_plan_and_run_stop_before_the_teacher_is_asked(tmp_path, server):
    path = write_api_project(tmp_path, server, **GOLD)
    for file in (tmp_path / "data" / "train").glob("*.jsonl"):
        assert "reference" not in file.read_text()
    for command in ("plan", "run"):
        result = CliRunner().invoke(app, [command, "--config", str(path)])
        assert result.exit_code == 2, result.output
        assert "`evaluation.gold_student` trains on gold answers" in " ".join(result.output.split())
    assert server.counts()["total"] <= 1, "the preflight's own request at most"
    assert not (tmp_path / "store" / "teacher_outputs").exists()
