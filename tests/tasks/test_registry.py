"""One file a task and one line in the registry: every other room takes what it needs from the task."""

from typing import ClassVar, get_args

import pytest

from distill_dagster.config import DistillConfig, QualityConfig, TaskName
from distill_dagster.evaluation.metrics import compute
from distill_dagster.quality.labels import labels_of
from distill_dagster.sources.judging.azure import judge_file
from distill_dagster.tasks import TASKS
from distill_dagster.tasks.labelled import LabelTask
from distill_dagster.tasks.labels import match_label
from distill_dagster.tasks.misfits import misfits
from distill_dagster.tasks.prompts import prompts_of


@pytest.mark.parametrize("name", TASKS)
def test_a_task_has_its_own_file(name):
    assert type(TASKS[name]).__module__ == f"distill_dagster.tasks.{name}"


def test_the_config_and_the_command_line_take_the_names_of_the_registry():
    assert list(get_args(TaskName)) == list(TASKS)
    assert DistillConfig.model_json_schema()["properties"]["task"]["enum"] == list(TASKS)


@pytest.mark.parametrize("name", TASKS)
def test_labels_have_one_source(name):
    task = TASKS[name]
    assert task.labelled == (task.labels is not None or task.labels_from_gold)
    assert task.labels is None or not task.labels_from_gold


class Mood(LabelTask):
    name: ClassVar[str] = "mood"
    labels: ClassVar[tuple[str, ...] | None] = ("good", "bad")

    def parse(self, text, labels):
        return match_label(text, labels or self.labels)


@pytest.fixture
def mood(monkeypatch):
    monkeypatch.setitem(TASKS, "mood", Mood())


@pytest.mark.usefixtures("mood")
def test_a_new_task_is_known_to_every_room():
    row = {"task": "mood", "messages": [{"role": "user", "content": "Hooray!"}], "reference": ["good"]}
    assert [prompt.reference for prompt in prompts_of(row)] == [["good"]]
    assert labels_of("mood", QualityConfig(), []) == ["good", "bad"]
    assert misfits("conversation", "chain_of_thought", 80)[0].endswith("nli, qa, math, classification and mood")
    assert misfits("mood", "chain_of_thought", 80) == []
    assert [code for code, _ in judge_file("a.jsonl", "mood", 65)] == ["E008"]
    rows = [{"parsed": "good", "reference": ["good"]}, {"parsed": None, "reference": ["bad"]}]
    assert compute("mood", rows) == {"accuracy": 0.5, "macro_f1": 0.5}
