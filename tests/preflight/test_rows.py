"""A project whose rows cannot become a set, scores or a gold student is stopped before anything is made or asked."""

import json
from pathlib import Path

import yaml
from typer.testing import CliRunner

from distill_dagster.cli import app
from distill_dagster.config.reading import load_config
from distill_dagster.preflight.memory import training_of
from distill_dagster.preflight.pending import Pending
from testing.api_project import answered_project, write_api_project, write_rows
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
    found = [found for found in look_at(tmp_path / "with" / "distill.yaml") if found.of == "gold_set"]
    assert [(one.state, one.found) for one in found] == [("ok", "training rows of train-part-00 have gold answers")]
    plain = without_gold(write_project(tmp_path / "plain"))
    assert not any(found.of == "gold_set" for found in look_at(plain))


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
    (found,) = [found for found in look_at(path, whole=False) if found.of == "gold_set"]
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


def few(found) -> list[tuple[str, str]]:
    return [(one.state, one.found) for one in found if one.what == "rows" and one.state != "ok"]


def test_too_few_rows_are_an_error_that_names_both_settings(tmp_path):
    path = write_project(tmp_path, **{"checks.min_teacher_rows": 1_000, "checks.min_train_rows": 900})
    answers, training = [said for state, said in few(look_at(path, whole=False)) if state == "error"]
    assert "have 102 prompts, from which at most 102 answers can come, and 1,000 are wanted" in answers
    assert answers.endswith("add rows, or lower `checks.min_teacher_rows`")
    assert "the training rows have 90 prompts" in training
    assert training.endswith("lower `checks.min_train_rows`")


def test_once_every_answer_is_there_no_row_is_counted(tmp_path, server, instance):
    path, _ = answered_project(tmp_path, server, instance)
    settings = yaml.safe_load(path.read_text())
    settings["checks"] = {"min_teacher_rows": 1_000}
    path.write_text(yaml.safe_dump(settings))
    assert not [one for one in look_at(path, whole=False) if one.what == "rows"]
    write_rows(tmp_path / "data/train/part-09.jsonl", range(300, 305))
    assert any("1,000 are wanted" in said for _, said in few(look_at(path, whole=False)))


def test_several_samples_of_a_prompt_are_several_answers(tmp_path):
    sampled = {"teacher.generation": {"samples": 2, "temperature": 0.7}}
    enough = {"checks.min_teacher_rows": 180, "checks.min_train_rows": 180}
    assert not few(look_at(write_project(tmp_path / "two", **sampled, **enough), whole=False))
    assert len(few(look_at(write_project(tmp_path / "one", **enough), whole=False))) == 2


def test_the_severity_of_the_check_is_that_of_the_finding(tmp_path):
    severity = {"enough_teacher_rows": "warn", "enough_training_rows": "off"}
    many = {"checks.min_teacher_rows": 1_000, "checks.min_train_rows": 1_000, "checks.severity": severity}
    ((state, _),) = few(look_at(write_project(tmp_path, **many), whole=False))
    assert state == "warning"


def test_held_out_rows_without_a_gold_answer_are_an_error_that_names_the_file(tmp_path):
    path = write_project(tmp_path)
    file = tmp_path / "data" / "test.jsonl"
    rows = [json.loads(line) for line in file.read_text().splitlines()]
    file.write_text("".join(json.dumps({**row, "reference": None, "referense": "yes"}) + "\n" for row in rows))
    said = errors(path, whole=False)["gold answers", "eval_dataset"]
    assert f"0 of {len(rows)} held-out prompts have a gold answer" in said
    assert str(file) in said
    assert "gold answers" not in {one.what for one in look_at(path, whole=False, until="teacher_outputs")}
    assert CliRunner().invoke(app, ["run", "-c", str(path)]).exit_code == 2
    assert not (tmp_path / "store" / "raw_dataset").exists()


def test_held_out_rows_are_counted_and_few_gold_answers_are_a_warning(tmp_path):
    path = write_project(tmp_path)
    file = tmp_path / "data" / "test.jsonl"
    rows = [json.loads(line) for line in file.read_text().splitlines()]

    def found(scored: int) -> tuple[str, str]:
        changed = [row if n < scored else {**row, "reference": None} for n, row in enumerate(rows)]
        file.write_text("".join(json.dumps(row) + "\n" for row in changed))
        (one,) = [one for one in look_at(path, whole=False) if one.what == "gold answers"]
        return one.state, one.found

    half = (len(rows) + 1) // 2
    assert found(half) == ("ok", f"{half} of {len(rows)} held-out prompts have a gold answer")
    state, said = found(1)
    assert state == "warning"
    assert said.startswith(
        f"1 of {len(rows)} held-out prompts have a gold answer; the others are answered and not scored"
    )
    assert str(file) in said
