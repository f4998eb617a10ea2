"""The stages of the gold student are there if the config asks for them; no fingerprint of another project changes."""

import dagster as dg
import pytest

from distill_dagster.config import DistillConfig
from distill_dagster.definitions import build_definitions
from distill_dagster.errors import DataError, NotPublishedError
from distill_dagster.lineage.freshness import inputs_of
from distill_dagster.lineage.gold_student import training_of_gold
from distill_dagster.lineage.guards import require_gold_rows
from distill_dagster.lineage.project import Project
from distill_dagster.lineage.snapshot import Snapshot
from distill_dagster.lineage.stages import STAGES, deps_of, follows, stages_of
from distill_dagster.lineage.upstream import Upstream
from distill_dagster.planning.steps import list_steps
from distill_dagster.quality.specs import GoldSetCounts, GoldSetResult
from distill_dagster.store.hashing import canonical_json
from distill_dagster.training.specs import TrainCounts, TrainResult
from testing.projects import tiny_settings

OWN = ["gold_set", "gold_student_checkpoint", "gold_student_benchmark"]
GOLD = {"evaluation.gold_student": True}


def config_of(**changes) -> DistillConfig:
    return DistillConfig.model_validate(tiny_settings(**changes))


def names_in(config: DistillConfig) -> list[str]:
    return [stage.name for stage in stages_of(config)]


def test_only_a_project_that_asks_for_it_has_the_stages():
    plain, asked = config_of(), config_of(**GOLD)
    assert [name for name in names_in(asked) if name not in names_in(plain)] == OWN
    assert names_in(config_of(**{"evaluation.gold_student": False})) == names_in(plain)
    reports = [set(follows(STAGES["eval_report"], config)) for config in (plain, asked)]
    assert reports[1] - reports[0] == {"gold_student_checkpoint", "gold_student_benchmark"}
    assert "gold_student_benchmark" not in follows(STAGES["speed_benchmark"], asked), "it has the student's size"
    dg.Definitions.validate_loadable(build_definitions(asked))


def test_no_teacher_is_among_what_it_learns_from():
    asked = config_of(**GOLD)
    assert deps_of(STAGES["gold_set"], asked) == ["shard_list", "raw_dataset", "eval_dataset"]
    assert [*STAGES["gold_student_checkpoint"].reads(asked)] == ["gold_set", "student_base"]
    assert deps_of(STAGES["gold_student_checkpoint"], asked) == ["gold_set", "student_base", "student_checkpoint"]


def test_the_setting_shapes_no_other_stage():
    plain, asked = config_of(), config_of(**GOLD)
    for stage in stages_of(plain):
        assert canonical_json(stage.shaped_by(asked)) == canonical_json(stage.shaped_by(plain)), stage.name
    assert "gold_student" not in plain.evaluation.model_dump()


def trained(**training) -> TrainResult:
    settings = config_of(**{f"student.training.{name}": value for name, value in training.items()}).student.training
    said = {**settings.model_dump(mode="json"), "loss": settings.loss}
    counts = TrainCounts(train_rows=1, validation_rows=0)
    return TrainResult(data_version="1", counts=counts, base="b", steps=1, history=[], kept="last", training=said)


@pytest.mark.parametrize(
    "training",
    [
        {"learning_rate": 0.003, "lora": {"rank": 4}},
        {"learning_rate": 0.003, "lora": {"rank": 4}, "signal": "hidden", "hidden": {"alpha": 0.3}},
        {"learning_rate": 0.003, "lora": {"rank": 4}, "signal": "on_policy", "on_policy": {"rounds": 1}},
    ],
)
def test_it_has_the_settings_that_the_published_student_was_trained_with_as_text(tmp_path, training):
    """The student may have learned with the settings of a sweep or of the launchpad, which the config does not know."""
    project = Project(config_of(**GOLD, store=str(tmp_path / "store")))
    with pytest.raises(NotPublishedError, match="student_checkpoint"):
        training_of_gold(Snapshot(project))
    publish(project, "student_checkpoint", trained(**training))
    publish(project, "student_base", trained())
    publish(project, "gold_set", gold_set(train=1))
    found = training_of_gold(Snapshot(project))
    assert (found.signal, found.loss, found.learning_rate, found.lora.rank) == ("text", "CE", 0.003, 4)
    own = inputs_of(Snapshot(project), "gold_student_checkpoint")
    assert own["training"] == found.shaping
    assert "student_checkpoint" not in own, "the student's weights are no input"
    assert "signal" not in own["training"]


def gold_set(train: int) -> GoldSetResult:
    counts = {"prompts": 9, "no_gold": 4, "examples": train, "train": train, "validation": 0}
    refused = {"rejected": 5 - train, "contaminated": 5 - train}
    return GoldSetResult(data_version="1", counts=GoldSetCounts(**counts, **refused), shards=1)


def publish(project: Project, name: str, result) -> None:
    project.store.publish(name, None, fingerprint="f", inputs={}, make=lambda *_: result)


def test_a_set_without_a_gold_answer_that_may_train_is_refused_with_its_counts(tmp_path):
    project = Project(config_of(**GOLD, store=str(tmp_path / "store")))
    publish(project, "gold_set", gold_set(train=0))
    with pytest.raises(DataError, match=r"of 9 prompts 4 have none .*refused: 5 contaminated.*gold_set"):
        require_gold_rows(Upstream(Snapshot(project), STAGES["gold_student_checkpoint"], None))


def test_the_plan_lists_its_stages(tmp_path, tiny_config):
    config = tiny_config.model_copy(update={"evaluation": config_of(**GOLD).evaluation})
    steps = [step for step in list_steps(Snapshot(Project(config))) if step.asset in OWN]
    assert [(step.asset, step.state) for step in steps] == [(name, "missing") for name in OWN]
