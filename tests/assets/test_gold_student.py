"""A gold student that is added to a finished project: what is made for it, what it learns, and what the report says."""

import json

import pytest

from distill_dagster.checks import checks_of
from distill_dagster.config import DistillConfig
from distill_dagster.config.reading import load_config
from distill_dagster.errors import DataError
from distill_dagster.lineage.freshness import is_fresh
from distill_dagster.lineage.gold_student import training_of_gold
from distill_dagster.lineage.guards import require_related
from distill_dagster.lineage.project import Project
from distill_dagster.lineage.snapshot import Snapshot
from distill_dagster.lineage.stages import STAGES
from distill_dagster.lineage.upstream import Upstream
from distill_dagster.quality.specs import GoldSetResult
from distill_dagster.report.document import ReportDocument, read_document
from distill_dagster.store import files, parquet
from distill_dagster.training.specs import TrainResult
from testing.projects import last_metadata, run_project, write_project

GOLD = {"evaluation.gold_student": True}
WARM = {"teacher.generation.temperature": 0.5}  # other answers of the teacher
OWN = ["gold_set", "gold_student_checkpoint", "gold_student_benchmark"]


def report_of(config: DistillConfig) -> ReportDocument:
    return read_document(Project(config).store.get("eval_report").file(files.REPORT_FILE))


def test_it_is_trained_beside_the_student_and_follows_its_settings_alone(copy_of_made, tmp_path, instance):
    config = load_config(copy_of_made(**GOLD))
    outcome = run_project(config, instance)
    assert outcome.failed.keys() <= {"eval_report"}, outcome.failed  # the verdict
    assert outcome.materialized == [*OWN, "eval_report"], "nothing else is stale"
    learned_the_gold_answers(Project(config))
    the_report_has_its_column(config, instance)
    the_check_says_it(config, outcome.warnings)

    other_answers = load_config(write_project(tmp_path, **GOLD, **WARM))
    assert "student_checkpoint" in run_project(other_answers, instance, "student_checkpoint").materialized
    assert all(is_fresh(Snapshot(Project(other_answers)), name) for name in OWN), "the teacher is nothing to it"

    other_settings = load_config(write_project(tmp_path, **GOLD, **WARM, **{"student.training.learning_rate": 0.02}))
    assert run_project(other_settings, instance, "student_checkpoint").materialized == ["student_checkpoint"]
    look = Snapshot(Project(other_settings))
    assert [name for name in OWN if is_fresh(look, name)] == ["gold_set", "gold_student_benchmark"]
    assert training_of_gold(look).learning_rate == 0.02
    with pytest.raises(DataError, match=r"gold_student_checkpoint.*: made from other inputs than the present ones"):
        require_related(Upstream(look, STAGES["eval_report"], None))


def learned_the_gold_answers(project: Project) -> None:
    gold_set, gold = project.store.get("gold_set"), project.store.get("gold_student_checkpoint")
    counts, trained = gold_set.read(GoldSetResult).counts, gold.read(TrainResult)
    examples = parquet.read_table(gold_set.file(files.EXAMPLES_FILE))
    assert len(examples) == counts.examples > 80
    assert {example["gold_score"] for example in examples} == {1.0}
    assert trained.counts.train_rows == counts.train
    assert trained.counts.validation_rows == counts.validation > 0
    student = project.store.get("student_checkpoint").read(TrainResult)
    assert trained.settings == student.settings
    assert trained.base == student.base
    assert trained.data_version != student.data_version
    card = gold.file("model/README.md").read_text()
    assert "gold answers alone, without a teacher" in card
    assert "- distillation\n" not in card


def the_report_has_its_column(config: DistillConfig, instance) -> None:
    document, store = report_of(config), Project(config).store
    measured = json.loads(store.get("gold_student_benchmark").file(files.BENCHMARK_FILE).read_text())
    assert measured["role"] == "gold_student"
    found = document.gold_student
    assert found.benchmark.score == measured["score"]
    assert found.benchmark.model.name == f"{config.name}-gold"
    assert found.difference.value == pytest.approx(document.benchmarks["student"].score - measured["score"])
    assert found.gold_rows == store.get("gold_student_checkpoint").read(TrainResult).counts.train_rows
    assert found.student_rows == store.get("student_checkpoint").read(TrainResult).counts.train_rows
    made = store.get("gold_student_checkpoint").data_version
    assert document.lineage.gold_student_checkpoint.data_version == made[:16]
    page, markdown = (
        store.get("eval_report").file(name).read_text() for name in (files.REPORT_PAGE, files.REPORT_MARKDOWN)
    )
    for text in (page, markdown):
        assert "Gold student" in text
        assert f"the other one on {found.gold_rows} gold answers" in text
    shown = last_metadata(instance, "eval_report")
    assert shown["score_gold_student"].value == pytest.approx(measured["score"], abs=1e-3)
    assert {"to_gold_student", "to_gold_student_low", "to_gold_student_high"} <= shown.keys()
    assert shown["gold_student"].value == found.text
    columns = [column.name for column in shown["scores"].schema.columns]
    assert columns == ["measure", "student", "teacher", "baseline", "gold_student"]
    preview = last_metadata(instance, "gold_set")
    assert preview["dagster/row_count"].value == store.get("gold_set").read(GoldSetResult).counts.examples


def the_check_says_it(config: DistillConfig, warnings: dict[str, str]) -> None:
    (check,) = [check for check in checks_of(config) if check.name == "teacher_adds_to_gold"]
    found, said = check.run(Snapshot(Project(config)), None), report_of(config).gold_student
    assert (found.passed, found.description) == (not said.is_better, said.text)
    assert found.numbers["to_gold_student"] == said.difference.value
    assert ("teacher_adds_to_gold on eval_report" in warnings) == said.is_better
    plain = config.model_copy(update={"evaluation": config.evaluation.model_copy(update={"gold_student": False})})
    assert "teacher_adds_to_gold" not in {check.name for check in checks_of(plain)}
